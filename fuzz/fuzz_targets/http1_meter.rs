//! The HTTP/1 meter: any cut of the input gives the same, and what passes reads the same to httparse,
//! to `http::Uri`, and to a naive decoder of chunked bodies.
#![no_main]
#![allow(dead_code, reason = "a target uses a part of the modules")]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wharf-http/src/http1"]
mod http1 {
    mod chunked;
    mod fields;
    pub(crate) mod head;
    mod head_scan;
    mod host;
    mod meter;
    mod octets;
    pub(crate) mod oracle;
    mod violation;
}

use http1::head::HeadLimits;
use http1::oracle::{Answer, check, events};

const WIDE: HeadLimits = HeadLimits {
    max_header_size: 32 << 10,
    max_headers: 100,
    max_target: 8 << 10,
    max_body_size: None,
};
const NARROW: HeadLimits = HeadLimits {
    max_header_size: 200,
    max_headers: 4,
    max_target: 20,
    max_body_size: Some(20),
};

// The first byte says how; the rest is what a peer sends.
fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else {
        return;
    };
    let answer = if how & 1 == 0 {
        Answer::Refuse
    } else {
        Answer::Upgrade
    };
    let limits = if how & 2 == 0 { WIDE } else { NARROW };
    let step = usize::from(how >> 2) + 2;
    let at_once = events(&limits, input, [], answer);
    assert_eq!(
        at_once,
        events(&limits, input, (0..input.len()).step_by(step), answer)
    );
    assert_eq!(at_once, events(&limits, input, 0..input.len(), answer));
    check(&limits, input, &at_once);
});
