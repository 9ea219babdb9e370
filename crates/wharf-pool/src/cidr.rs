//! [`Cidr`]: a range of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses in CIDR form, such as `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// How many bits all addresses of the range have in common: the more, the narrower it is.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` is in the range. An IPv4-mapped IPv6 address is looked up as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    /// Reads `address/prefix`; an address alone is a range of one.
    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let invalid = || InvalidCidr {
            text: text.to_owned(),
        };
        let (base, prefix) = text
            .split_once('/')
            .map_or((text, None), |(b, p)| (b, Some(p)));
        let written: IpAddr = base.parse().map_err(|_| invalid())?;
        let widest = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => widest,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| invalid())?
            }
            Some(_) => return Err(invalid()),
        };
        // Addresses are looked up as IPv4 where they are, so a mapped range is kept as IPv4 too.
        let base = written.to_canonical();
        let mapped = if base == written { 0 } else { 96 };
        let prefix = if prefix > widest {
            None
        } else {
            u8::checked_sub(prefix, mapped)
        };
        let prefix = prefix.ok_or_else(invalid)?;
        Ok(Self { base, prefix })
    }
}

/// A text that is not a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address range: write it as \"10.0.0.0/8\" or \"2001:db8::/32\"")]
pub struct InvalidCidr {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_contains_what_shares_its_prefix() {
        let range: Cidr = "10.1.0.0/16".parse().unwrap();
        assert!(range.contains(ip("10.1.255.255")) && range.contains(ip("::ffff:10.1.2.3")));
        assert!(!range.contains(ip("10.2.0.0")) && !range.contains(ip("::1")));
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains(ip("203.0.113.9"))
        );
        assert!("::1".parse::<Cidr>().unwrap().contains(ip("::1")));
    }

    #[test]
    fn a_mapped_range_is_the_ipv4_range_that_it_maps() {
        let range: Cidr = "::ffff:10.1.0.0/112".parse().unwrap();
        assert_eq!(range, "10.1.0.0/16".parse().unwrap());
        assert!(range.contains(ip("10.1.2.3")) && !range.contains(ip("10.2.0.0")));
        assert!(
            "::ffff:0:0/90".parse::<Cidr>().is_err(),
            "wider than the mapped addresses"
        );
    }

    #[test]
    fn a_bad_range_is_refused_with_what_to_write() {
        for bad in [
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "x",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "1.2.3.4/",
        ] {
            assert!(
                bad.parse::<Cidr>()
                    .unwrap_err()
                    .to_string()
                    .contains("10.0.0.0/8"),
                "{bad}"
            );
        }
    }
}
