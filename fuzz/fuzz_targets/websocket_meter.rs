//! The WebSocket meter and what makes messages of its frames: any cut of a client's bytes gives the same
//! messages, and tungstenite finds no others.
#![no_main]
#![allow(dead_code, reason = "a target uses a part of the modules")]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/wharf-http/src/websocket"]
mod websocket {
    pub(crate) mod assembly;
    pub(crate) mod control;
    pub(crate) mod frame;
    pub(crate) mod message;
    pub(crate) mod meter;
    pub(crate) mod oracle;
    pub(crate) mod violation;
}

use websocket::oracle::{ours, theirs};

// The first byte says into what pieces the rest is cut.
fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else {
        return;
    };
    let whole = ours(bytes, usize::MAX);
    assert_eq!(whole, ours(bytes, usize::from(cut) + 2));
    assert_eq!(whole, ours(bytes, 1));
    assert_eq!(whole, theirs(bytes));
});
