//! [`sift`]: what of a found set can be asked.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::MOST;
use crate::address::Scheme;
use crate::connect::{LinkLocal, is_meant};
use crate::setup::EndpointSetup;

/// A whole set of endpoints, as a source has found it.
#[derive(Clone, Debug, Default)]
pub struct FoundSet {
    /// The endpoints.
    pub endpoints: Vec<EndpointSetup>,
    /// What else was there, and names no endpoint.
    pub skips: Skips,
    /// The source's own number of the set, if it has one.
    pub revision: Option<u64>,
    /// How long the set is good for, if the source says so.
    pub ttl: Option<Duration>,
}

/// Entries that were left out: how many, and why the first was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    count: usize,
    first: Option<Arc<str>>,
}

impl Skips {
    /// Notes that an entry was left out.
    pub fn skip(&mut self, why: impl fmt::Display) {
        self.count += 1;
        self.first.get_or_insert_with(|| why.to_string().into());
    }

    /// Notes that so many were left out for one reason.
    pub fn skip_all(&mut self, count: usize, why: impl fmt::Display) {
        if count > 0 {
            self.skip(why);
            self.count += count - 1;
        }
    }

    /// How many there were.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Why the first was.
    pub fn first(&self) -> Option<Arc<str>> {
        self.first.clone()
    }
}

/// What of a set can be asked.
#[derive(Clone, Debug)]
pub(super) struct Sifted {
    pub(super) endpoints: Vec<EndpointSetup>,
    pub(super) skips: Skips,
    pub(super) revision: Option<u64>,
    pub(super) ttl: Option<Duration>,
}

/// Leaves out of a set what speaks something else, what is there twice, what is in the machine's own
/// neighbourhood where that is refused, and what is too many. Their order is no news, so it is always the same.
pub(super) fn sift(set: FoundSet, scheme: Scheme, link_local: LinkLocal) -> Sifted {
    let FoundSet {
        endpoints: mut found,
        mut skips,
        revision,
        ttl,
    } = set;
    found.sort_by(|a, b| a.address.cmp(&b.address));
    let mut endpoints: Vec<EndpointSetup> = Vec::new();
    let mut known = HashSet::new();
    for endpoint in found {
        let address = &endpoint.address;
        let near = address.ip().is_some_and(|ip| !is_meant(ip));
        if address.scheme() != scheme {
            let (spoken, scheme) = (address.scheme().as_str(), scheme.as_str());
            skips.skip(format_args!(
                "{address} speaks {spoken}, the upstream {scheme}"
            ));
        } else if near && link_local == LinkLocal::Refuse {
            skips.skip(format_args!(
                "{address} is an address that may not be asked"
            ));
        } else if known.contains(address) {
            skips.skip(format_args!("{address} is there twice"));
        } else if endpoints.len() == MOST {
            skips.skip(format_args!("there are more than {MOST} endpoints"));
        } else {
            known.insert(address.clone());
            endpoints.push(endpoint);
        }
    }
    Sifted {
        endpoints,
        skips,
        revision,
        ttl,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(addresses: &[&str]) -> FoundSet {
        let endpoints = addresses.iter().map(|it| {
            let address: crate::EndpointAddress = it.parse().unwrap();
            EndpointSetup::from(address)
        });
        FoundSet {
            endpoints: endpoints.collect(),
            ..FoundSet::default()
        }
    }

    #[test]
    fn what_cannot_be_asked_is_left_out_and_told() {
        for (address, why) in [
            ("https://a:1", "speaks https, the upstream http"),
            ("http://169.254.169.254", "may not be asked"),
            ("http://0.0.0.0:80", "may not be asked"),
            ("http://b:1", "is there twice"),
        ] {
            let sifted = sift(
                set(&["http://b:1", address]),
                Scheme::Http,
                LinkLocal::Refuse,
            );
            assert_eq!((sifted.endpoints.len(), sifted.skips.count()), (1, 1));
            assert!(sifted.skips.first().unwrap().contains(why), "{address}");
        }
        let near = set(&["http://169.254.1.1"]);
        assert_eq!(sift(near, Scheme::Http, LinkLocal::Allow).skips.count(), 0);
    }

    proptest! {
        #[test]
        fn a_set_has_a_bound_no_doubles_and_one_order(mut ports in proptest::collection::vec(1..3000_u16, 0..3000)) {
            let text: Vec<_> = ports.iter().map(|it| format!("http://a:{it}")).collect();
            let text: Vec<_> = text.iter().map(String::as_str).collect();
            let sifted = sift(set(&text), Scheme::Http, LinkLocal::Refuse);
            let all = ports.len();
            ports.sort_unstable();
            ports.dedup();
            prop_assert_eq!(sifted.endpoints.len(), ports.len().min(MOST));
            prop_assert_eq!(sifted.skips.count(), all - sifted.endpoints.len());
            prop_assert!(sifted.endpoints.is_sorted_by(|a, b| a.address < b.address));
        }
    }
}
