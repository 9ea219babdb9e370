//! [`resolve`]: from a name to the addresses that it may stand for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::ConnectError;
use crate::address::EndpointAddress;

/// What becomes of addresses of the machine's own neighbourhood that a name stands for: link-local ones,
/// and those at which clouds answer questions about the machine and its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkLocal {
    /// They are left out: whoever controls the name must not reach them through a gateway.
    #[default]
    Refuse,
    /// They are asked like others.
    Allow,
}

/// The addresses that the endpoint's name stands for. An address that was configured as such is taken as
/// it is.
pub(crate) async fn resolve(
    address: &EndpointAddress,
    link_local: LinkLocal,
) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(ip) = address.ip() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let failed = |error| ConnectError::Resolve(Arc::new(error));
    let found = tokio::net::lookup_host((address.host(), address.port()));
    let found = found.await.map_err(failed)?;
    let allowed = |it: &SocketAddr| link_local == LinkLocal::Allow || is_meant(it.ip());
    let found: Vec<_> = found.filter(allowed).collect();
    if found.is_empty() {
        return Err(failed(io::Error::other(
            "the name has no address that may be asked",
        )));
    }
    Ok(found)
}

/// Whether an address is one that a name of a service may stand for.
pub(crate) fn is_meant(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_meant_v4(ip),
        IpAddr::V6(ip) => is_meant_v6(ip) && embedded(ip).is_none_or(is_meant_v4),
    }
}

/// The IPv4 address that is reached by one of IPv6: translated (RFC 6052), or compatible (RFC 4291 2.5.5.1).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// Where clouds answer questions about the machine, beside the link-local addresses that all have: Alibaba,
/// Azure's `WireServer`, Oracle as it was.
const CLOUDS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same over IPv6: Amazon, Google.
const CLOUDS_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

fn is_meant_v4(ip: Ipv4Addr) -> bool {
    let near = ip.is_link_local() || ip.is_multicast() || ip.is_broadcast();
    // "This network" (RFC 1122 3.2.1.3) reaches the machine itself on Linux.
    !near && ip.octets()[0] != 0 && !CLOUDS.contains(&ip)
}

fn is_meant_v6(ip: Ipv6Addr) -> bool {
    let near = ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified();
    !near && !CLOUDS_V6.contains(&ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_not_stand_for_the_machines_neighbourhood() {
        for ip in [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd20:ce::254",
            "64:ff9b::a9fe:a9fe",
            "::169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::",
            "ff02::1",
        ] {
            assert!(!is_meant(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "fd00::1",
            "100.100.100.201",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_meant(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn an_address_is_taken_as_it_is() {
        let address = "http://169.254.169.254:80".parse().unwrap();
        let found = resolve(&address, LinkLocal::Refuse).await.unwrap();
        assert_eq!(found, ["169.254.169.254:80".parse().unwrap()]);
    }
}
