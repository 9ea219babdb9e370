//! The seeds of `fuzz/`, as they are and bent in many ways: its targets, for machines without a fuzzer.

use std::fs;
use std::path::Path;

/// What parsers stumble over, put between other bytes.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0\r\n\r\n",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Host: b\r\n",
    b"\r\n ",
    b"ffffffffffffffff\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00\x00\x00\x04\x01\x00\x00\x00\x00",
    b"PROXY TCP4 ",
    b"HTTP/1.1",
];

/// Calls `check` with each seed of the target, and with so many bent ones of each; always the same.
pub(crate) fn each(target: &str, bent: u32, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut files: Vec<_> = fs::read_dir(corpus.join(target))
        .expect("the seeds are committed")
        .map(|entry| entry.expect("a folder can be listed").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("seed-"))
        })
        .collect();
    files.sort();
    let seeds: Vec<_> = files
        .iter()
        .map(|path| fs::read(path).expect("a seed can be read"))
        .collect();
    assert!(!seeds.is_empty(), "no seeds of {target}");
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        check(seed);
        for _ in 0..bent {
            let mut bytes = seed.clone();
            for _ in 0..=chance.below(4) {
                bend(&mut bytes, &seeds, &mut chance);
            }
            check(&bytes);
        }
    }
}

/// Changes the bytes in one way.
fn bend(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let end = at + chance.below((bytes.len() - at).min(40) + 1);
    match chance.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(end..end, again);
        }
        3 => {
            let token = TOKENS[chance.below(TOKENS.len())];
            bytes.splice(at..end, token.iter().copied());
        }
        4 => {
            let other = &seeds[chance.below(seeds.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[chance.below(other.len() + 1)..]);
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
    }
}

/// Numbers without a pattern, the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % end).unwrap_or(0)
    }
}

// Here and not beside the meter: that is compiled into a bench too, where there are no seeds.
#[test]
fn every_seed_of_http2_and_what_it_is_bent_into_holds() {
    each("http2_meter", 400, crate::http2::oracle::holds);
}
