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
        IpAddr::V6(ip) => is_meant_v6(ip),
    }
}

/// Alibaba's metadata service.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Amazon's, over IPv6; over IPv4 all have one that is link-local.
const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn is_meant_v4(ip: Ipv4Addr) -> bool {
    let near = ip.is_link_local() || ip.is_multicast() || ip.is_broadcast();
    // "This network" (RFC 1122 3.2.1.3) reaches the machine itself on Linux.
    !near && ip.octets()[0] != 0 && ip != ALIBABA
}

fn is_meant_v6(ip: Ipv6Addr) -> bool {
    let near = ip.is_unicast_link_local() || ip.is_multicast() || ip.is_unspecified();
    !near && ip != AMAZON
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
