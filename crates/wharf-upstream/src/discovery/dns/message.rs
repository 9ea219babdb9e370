//! [`Message`]: questions and answers of DNS as bytes (RFC 1035 4, RFC 2782, RFC 6891).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A = 1,
    Aaaa = 28,
    Srv = 33,
}

const CNAME: u16 = 5;
const OPT: u16 = 41;
const INTERNET: u16 = 1;

/// The largest answer that is taken by UDP without being cut on its way (DNS flag day 2020).
pub(super) const LARGEST: u16 = 1232;

/// The longest name (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 255;

/// How often a name may go on elsewhere in the message. Real ones do once; what was made for it could have us read
/// the whole message for each of its records.
const HOPS: usize = 16;

/// Whether a question says what we take by UDP (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edns {
    Said,
    /// Some servers know nothing of it, and say that the question is malformed.
    Left,
}

/// What of an answer matters.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) truncated: bool,
    pub(super) code: u8,
    pub(super) question: (String, u16),
    pub(super) answers: Vec<Record>,
}

/// A record of a kind that is known.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    /// In seconds.
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    Cname(String),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
}

/// A question; `None` if the name cannot be one.
pub(super) fn question(id: u16, name: &str, kind: Kind, edns: Edns) -> Option<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion desired; one question, and perhaps what we take by UDP.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns == Edns::Said)]);
    let start = bytes.len();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok();
        bytes.push(length.filter(|it| (1..64).contains(it))?);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    if bytes.len() - start > LONGEST_NAME {
        return None;
    }
    bytes.extend((kind as u16).to_be_bytes());
    bytes.extend(INTERNET.to_be_bytes());
    if edns == Edns::Left {
        return Some(bytes);
    }
    bytes.push(0);
    bytes.extend(OPT.to_be_bytes());
    bytes.extend(LARGEST.to_be_bytes());
    bytes.extend([0; 6]);
    Some(bytes)
}

/// Reads an answer; `None` if it is none. Of one that was cut only the head counts.
pub(super) fn read(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 0 };
    let (id, flags) = (reader.u16()?, reader.u16()?);
    let [questions, answers, _, _] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let is_answer = flags & 0x8000 != 0;
    if !is_answer || questions != 1 {
        return None;
    }
    let question = (reader.name()?, reader.u16()?);
    reader.u16()?;
    let mut message = Message {
        id,
        truncated: flags & 0x0200 != 0,
        code: flags.to_be_bytes()[1] & 0x0f,
        question,
        answers: Vec::new(),
    };
    if !message.truncated {
        for _ in 0..answers {
            reader.record(&mut message.answers)?;
        }
    }
    Some(message)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Reads the next record; one of a kind that is not known is passed over.
    fn record(&mut self, into: &mut Vec<Record>) -> Option<()> {
        let name = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        let ttl = self.take().map(u32::from_be_bytes)?;
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length)?;
        let mut within = Reader {
            bytes: self.bytes.get(..end)?,
            at: self.at,
        };
        self.at = end;
        if class != INTERNET {
            return Some(());
        }
        let data = match kind {
            _ if kind == Kind::A as u16 => {
                Data::Address(Ipv4Addr::from(within.take::<4>()?).into())
            }
            _ if kind == Kind::Aaaa as u16 => {
                Data::Address(Ipv6Addr::from(within.take::<16>()?).into())
            }
            CNAME => Data::Cname(within.name()?),
            _ if kind == Kind::Srv as u16 => Data::Srv {
                priority: within.u16()?,
                weight: within.u16()?,
                port: within.u16()?,
                target: within.name()?,
            },
            _ => return Some(()),
        };
        // The greatest bit is none of the number (RFC 2181 8).
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        into.push(Record { name, ttl, data });
        Some(())
    }

    /// A name, in lower case and without the last dot. What cannot stand in the name of a host becomes `?`, so that
    /// nobody takes it for one.
    fn name(&mut self) -> Option<String> {
        let (mut name, mut at, mut after) = (String::new(), self.at, None);
        let mut hops = 0;
        loop {
            let length = *self.bytes.get(at)?;
            match length >> 6 {
                0 if length == 0 => break,
                0 => {
                    let label = self.bytes.get(at + 1..at + 1 + usize::from(length))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.extend(label.iter().map(|byte| plain(*byte)));
                    at += 1 + label.len();
                }
                3 => {
                    let low = *self.bytes.get(at + 1)?;
                    let there = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    after.get_or_insert(at + 2);
                    // Only to what was before, so that no name goes round in a circle.
                    hops += 1;
                    if there >= at || hops > HOPS {
                        return None;
                    }
                    at = there;
                }
                _ => return None,
            }
            if name.len() > LONGEST_NAME {
                return None;
            }
        }
        self.at = after.unwrap_or(at + 1);
        Some(name)
    }
}

fn plain(byte: u8) -> char {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
        char::from(byte.to_ascii_lowercase())
    } else {
        '?'
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer to a question: the same bytes, the flags of an answer, and records behind it.
    fn answer(name: &str, kind: Kind, records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = question(7, name, kind, Edns::Left).unwrap();
        bytes[2] = 0x81;
        bytes[7] = u8::try_from(records.len()).unwrap();
        bytes.extend(records.concat());
        bytes
    }

    #[test]
    fn an_answer_is_read_with_its_compressed_names() {
        let cname = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'X', 0xc0, 16][..]].concat();
        let a = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
        let unknown = [0, 0, 99, 0, 1, 0, 0, 0, 9, 0, 1, 0];
        let bytes = answer("api.internal", Kind::A, &[&cname, &a, &unknown]);
        let message = read(&bytes).unwrap();
        assert_eq!((message.id, message.code, message.truncated), (7, 0, false));
        assert_eq!(message.question, ("api.internal".to_owned(), 1));
        let [first, second] = &message.answers[..] else {
            panic!("{message:?}");
        };
        assert_eq!(first.data, Data::Cname("x.internal".to_owned()));
        assert_eq!(
            (second.ttl, &second.data),
            (9, &Data::Address([10, 0, 0, 1].into()))
        );
    }

    #[test]
    fn a_name_that_points_at_itself_is_none() {
        let round = [0xc0, 30, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
        assert!(read(&answer("api.internal", Kind::A, &[&round])).is_none());
    }

    #[test]
    fn a_name_goes_on_elsewhere_only_so_often() {
        // Each name but the first is a pointer at the one before.
        let chain = |hops: usize| {
            let first = question(7, "a.b", Kind::A, Edns::Left).unwrap().len();
            let record = [0, 99, 0, 1, 0, 0, 0, 9, 0, 0];
            let records = (0..hops).map(|nth| {
                let there = if nth == 0 { 12 } else { first + (nth - 1) * 12 };
                let there = u16::try_from(there).unwrap() | 0xc000;
                [&there.to_be_bytes()[..], &record].concat()
            });
            let records: Vec<_> = records.collect();
            let records: Vec<_> = records.iter().map(Vec::as_slice).collect();
            read(&answer("a.b", Kind::A, &records))
        };
        assert!(chain(HOPS).is_some());
        assert!(chain(HOPS + 1).is_none());
    }

    #[test]
    fn what_cannot_be_a_name_is_not_asked_for() {
        let long = ["a"; 130].join(".");
        for name in ["", "a..b", &"a".repeat(64), &long] {
            assert!(question(1, name, Kind::A, Edns::Said).is_none(), "{name}");
        }
        assert!(question(1, "_http._tcp.a.", Kind::Srv, Edns::Said).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_to_be_refused(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(read(&tail));
            let mut bytes = answer("a.b", Kind::Srv, &[]);
            bytes[7] = 9;
            bytes.extend(tail);
            if let Some(message) = read(&bytes) {
                prop_assert!(message.answers.iter().all(|it| it.name.len() <= 320));
            }
        }
    }
}
