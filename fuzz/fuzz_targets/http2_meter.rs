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

use http2::oracle::holds;

fuzz_target!(|data: &[u8]| holds(data));
