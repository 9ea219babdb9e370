//! Where a connection comes from, as far as limits are concerned.

use std::net::IpAddr;

use wharf_control::Source;

/// The source that `address` belongs to: the unit in which connections of one origin are counted.
///
/// An IPv4 address, or an IPv6 /64, since the holder of one IPv6 address usually holds its whole /64
/// (RFC 6177). An IPv4-mapped IPv6 address counts as its IPv4 address.
pub fn source_of(address: IpAddr) -> Source {
    match address.to_canonical() {
        // The mapped form cannot collide with an IPv6 source, whose low half is zero.
        IpAddr::V4(v4) => Source(v4.to_ipv6_mapped().to_bits()),
        IpAddr::V6(v6) => Source(v6.to_bits() & !u128::from(u64::MAX)),
    }
}

/// A source in half its bits, as millions of them are kept and looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SourceKey(u64);

impl SourceKey {
    /// A /64 is its upper half. An IPv4 address is its 32 bits, which as an upper half would lie in
    /// `::/32`, where no peer has an address (RFC 4291, 2.5).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the half that is kept is the one that tells"
    )]
    pub(crate) fn of(address: IpAddr) -> Self {
        let Source(source) = source_of(address);
        let (upper, lower) = ((source >> 64) as u64, source as u32);
        Self(if upper == 0 { u64::from(lower) } else { upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        source_of(text.parse().unwrap())
    }

    #[test]
    fn ipv6_addresses_of_one_64_are_one_source_and_ipv4_addresses_are_not() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    }
}
