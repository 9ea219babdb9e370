//! The PROXY protocol: more bytes never change what was decided, nothing unbounded is asked for, and
//! addresses that we take are those that `ppp` reads.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wharf-http/src"]
mod wharf_http {
    pub(crate) mod proxy_protocol;
}

use wharf_http::proxy_protocol::{Parsed, ProxyHeader, parse};

fuzz_target!(|data: &[u8]| {
    let at_once = parse(data);
    for end in 0..data.len() {
        match parse(&data[..end]) {
            Ok(Parsed::Incomplete) => assert!(end < 16 + 2048),
            early => {
                assert_eq!(early, at_once);
                break;
            }
        }
    }
    if let Ok(Parsed::Complete { header, consumed }) = at_once {
        assert_eq!(parse(&data[..consumed]), at_once);
        assert_eq!(parse(&data[..consumed - 1]), Ok(Parsed::Incomplete));
        if let ProxyHeader::Proxied {
            source,
            destination,
        } = header
        {
            assert_eq!(by_ppp(&data[..consumed]), Some((source, destination)));
        }
    }
});

fn by_ppp(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let of = |source: IpAddr, from, destination: IpAddr, to| {
        let source = SocketAddr::new(source.to_canonical(), from);
        Some((source, SocketAddr::new(destination.to_canonical(), to)))
    };
    match ppp::HeaderResult::parse(bytes) {
        ppp::HeaderResult::V1(header) => match header.ok()?.addresses {
            ppp::v1::Addresses::Tcp4(it) => of(
                it.source_address.into(),
                it.source_port,
                it.destination_address.into(),
                it.destination_port,
            ),
            ppp::v1::Addresses::Tcp6(it) => of(
                it.source_address.into(),
                it.source_port,
                it.destination_address.into(),
                it.destination_port,
            ),
            ppp::v1::Addresses::Unknown => None,
        },
        ppp::HeaderResult::V2(header) => match header.ok()?.addresses {
            ppp::v2::Addresses::IPv4(it) => of(
                it.source_address.into(),
                it.source_port,
                it.destination_address.into(),
                it.destination_port,
            ),
            ppp::v2::Addresses::IPv6(it) => of(
                it.source_address.into(),
                it.source_port,
                it.destination_address.into(),
                it.destination_port,
            ),
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => None,
        },
    }
}
