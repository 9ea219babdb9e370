//! The HTTP/2 meter: any cut of both directions gives the same, and a reader that keeps all bytes
//! finds the same frames and streams.
#![no_main]
#![allow(dead_code, reason = "a target uses a part of the modules")]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wharf-http/src/http2"]
mod http2 {
    pub(crate) mod meter;
    pub(crate) mod oracle;
}

use http2::meter::Limits;
use http2::oracle::{Script, Side, check, play};

// The first byte says into what pieces the rest is cut. Then, again and again: who speaks (the
// highest bit), how many bytes (the other 15), and these.
fuzz_target!(|data: &[u8]| {
    let Some((&cut, mut rest)) = data.split_first() else {
        return;
    };
    let mut script = Script::new();
    while let [high, low, after @ ..] = rest {
        let side = if high & 0x80 == 0 {
            Side::Client
        } else {
            Side::Server
        };
        let length = usize::from(u16::from_be_bytes([high & 0x7f, *low]));
        let (speech, after) = after.split_at(length.min(after.len()));
        script.push((side, speech.to_vec()));
        rest = after;
    }
    let limits = Limits::default();
    let whole = play(&limits, &script, usize::MAX);
    assert_eq!(whole, play(&limits, &script, usize::from(cut) + 2));
    assert_eq!(whole, play(&limits, &script, 1));
    check(&script, &whole);
});
