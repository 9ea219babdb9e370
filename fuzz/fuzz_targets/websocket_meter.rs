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

use websocket::oracle::holds;

fuzz_target!(|data: &[u8]| holds(data));
