//! [`Keys`]: what is below the prefix, as far as it is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::read_entry;
use super::proto::event::EventType;
use super::proto::{Event, KeyValue, RangeResponse};
use crate::address::Scheme;
use crate::discovery::{FoundSet, MOST, Skips};
use crate::setup::EndpointSetup;

/// What is below the prefix: the first keys by their order, at most [`MOST`].
pub(super) struct Keys {
    scheme: Scheme,
    known: BTreeMap<Vec<u8>, Result<EndpointSetup, Arc<str>>>,
    /// How many more there are.
    unknown: usize,
    revision: i64,
}

/// The longest key that is followed: etcd takes keys of more than a mebibyte.
const LONGEST: usize = 1024;

/// What an event makes of the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// They are known as well as before.
    Known,
    /// There are more than are known, and which ones only etcd can say.
    Crowded,
}

impl Keys {
    pub(super) fn listed(response: RangeResponse, scheme: Scheme) -> Self {
        let mut keys = Self {
            scheme,
            known: BTreeMap::new(),
            unknown: 0,
            revision: response.header.map_or(0, |it| it.revision),
        };
        keys.unknown = usize::try_from(response.count).unwrap_or_default();
        keys.go_on(response);
        keys
    }

    /// More of those that were listed.
    pub(super) fn go_on(&mut self, response: RangeResponse) {
        for pair in response.kvs {
            if self.known.len() < MOST {
                self.put(&pair);
                self.unknown = self.unknown.saturating_sub(1);
            }
        }
    }

    /// Whether no more can be known.
    pub(super) fn are_enough(&self) -> bool {
        self.known.len() >= MOST
    }

    /// The revision up to which they are known.
    pub(super) const fn revision(&self) -> i64 {
        self.revision
    }

    /// Events of a revision have come; without any, nothing has happened up to it.
    pub(super) fn apply(&mut self, revision: i64, events: Vec<Event>) -> Applied {
        self.revision = self.revision.max(revision);
        let crowded = self.unknown > 0 && !events.is_empty();
        for event in events {
            let deleted = event.r#type() == EventType::Delete;
            let Some(pair) = event.kv else { continue };
            if deleted {
                self.known.remove(cut(&pair.key));
            } else if self.known.len() < MOST || self.known.contains_key(cut(&pair.key)) {
                self.put(&pair);
            } else {
                self.unknown += 1;
            }
        }
        if crowded || self.unknown > 0 {
            Applied::Crowded
        } else {
            Applied::Known
        }
    }

    fn put(&mut self, pair: &KeyValue) {
        let read = if pair.key.len() > LONGEST {
            Err(format!("the key is longer than {LONGEST} bytes"))
        } else {
            read_entry(&pair.value, self.scheme)
        };
        let read = read.map_err(|why| format!("{}: {why}", shown(&pair.key)).into());
        self.known.insert(cut(&pair.key).to_vec(), read);
    }

    /// All of them as endpoints.
    pub(super) fn set(&self) -> FoundSet {
        let (mut endpoints, mut skips) = (Vec::new(), Skips::default());
        for read in self.known.values() {
            match read {
                Ok(endpoint) => endpoints.push(endpoint.clone()),
                Err(why) => skips.skip(why),
            }
        }
        let all = format_args!("there are more than {MOST} keys").to_string();
        skips.skip_all(self.unknown, all);
        FoundSet {
            endpoints,
            skips,
            revision: u64::try_from(self.revision).ok(),
            ttl: None,
        }
    }
}

/// What is kept of a key. Of those that are refused for their length, all that begin alike count as one.
fn cut(key: &[u8]) -> &[u8] {
    &key[..key.len().min(LONGEST + 1)]
}

/// A key as people may see it: of any bytes it may be made.
fn shown(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    let cut: String = text.chars().take(100).collect();
    cut.escape_debug().to_string()
}

/// The first key that does not begin with `prefix`: the end of the range that it means.
pub(super) fn range_end(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|byte| *byte < 0xff);
    match kept {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        // All keys from there on, as etcd has it.
        None => vec![0],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::proto::ResponseHeader;
    use super::*;

    fn pair(key: u16, value: &str) -> KeyValue {
        KeyValue {
            key: format!("/a/{key:05}").into_bytes(),
            value: value.as_bytes().to_vec(),
        }
    }

    fn listed(count: u16, revision: i64) -> Keys {
        let kvs = (0..count.min(1024)).map(|n| pair(n, &format!("h{n}:1")));
        let response = RangeResponse {
            header: Some(ResponseHeader { revision }),
            kvs: kvs.collect(),
            more: count > 1024,
            count: i64::from(count),
        };
        Keys::listed(response, Scheme::Http)
    }

    fn event(put: bool, pair: KeyValue) -> Event {
        Event {
            r#type: if put {
                EventType::Put
            } else {
                EventType::Delete
            }
            .into(),
            kv: Some(pair),
        }
    }

    #[test]
    fn events_change_what_was_listed() {
        let mut keys = listed(3, 7);
        let events = vec![
            event(false, pair(0, "")),
            event(true, pair(1, "other:2")),
            event(true, pair(9, "new:3")),
        ];
        assert_eq!(keys.apply(8, events), Applied::Known);
        let set = keys.set();
        let shown: Vec<_> = set
            .endpoints
            .iter()
            .map(|it| it.address.to_string())
            .collect();
        assert_eq!(shown, ["http://other:2", "http://h2:1", "http://new:3"]);
        assert_eq!((set.revision, set.skips.count()), (Some(8), 0));
    }

    #[test]
    fn a_bad_value_is_told_with_its_key_and_the_others_are_followed() {
        let mut keys = listed(2, 1);
        keys.apply(2, vec![event(true, pair(1, "no endpoint"))]);
        let set = keys.set();
        assert_eq!((set.endpoints.len(), set.skips.count()), (1, 1));
        let told = set.skips.first().unwrap();
        assert_eq!(&*told, "/a/00001: \"no endpoint\" is not an endpoint");
    }

    #[test]
    fn a_key_that_is_too_long_is_refused_and_not_kept() {
        let mut keys = listed(1, 1);
        let long = |length| KeyValue {
            key: [b"/a/", &vec![b'k'; length][..]].concat(),
            value: b"h:1".to_vec(),
        };
        keys.apply(2, vec![event(true, long(LONGEST - 3))]);
        keys.apply(3, vec![event(true, long(1_000_000))]);
        let set = keys.set();
        assert_eq!((set.endpoints.len(), set.skips.count()), (2, 1));
        assert!(
            set.skips
                .first()
                .unwrap()
                .contains("longer than 1024 bytes")
        );
        assert!(keys.known.keys().all(|key| key.len() <= LONGEST + 1));
        keys.apply(4, vec![event(false, long(1_000_000))]);
        assert_eq!(keys.set().skips.count(), 0);
    }

    #[test]
    fn what_is_too_much_is_counted_and_asked_for_again_when_something_happens() {
        let mut keys = listed(2000, 1);
        assert_eq!(
            (keys.set().endpoints.len(), keys.set().skips.count()),
            (1024, 976)
        );
        assert_eq!(keys.apply(2, Vec::new()), Applied::Crowded);
        assert_eq!(
            keys.apply(3, vec![event(false, pair(5, ""))]),
            Applied::Crowded
        );
        let mut full = listed(1024, 1);
        assert_eq!(full.apply(2, Vec::new()), Applied::Known);
        assert_eq!(
            full.apply(3, vec![event(true, pair(3000, "a:1"))]),
            Applied::Crowded
        );
    }

    proptest! {
        #[test]
        fn a_range_ends_where_the_prefix_does(
            prefix in proptest::collection::vec(any::<u8>(), 1..8),
            key in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let end = range_end(&prefix);
            let open = end == [0];
            let inside = key >= prefix && (open || key < end);
            prop_assert!(!key.starts_with(&prefix) || inside);
            prop_assert!(open || !inside || key.starts_with(&prefix));
        }
    }
}
