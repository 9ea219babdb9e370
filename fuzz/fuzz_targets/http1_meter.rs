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
    mod plain_head;
    mod violation;
}

use http1::oracle::holds;

fuzz_target!(|data: &[u8]| holds(data));
