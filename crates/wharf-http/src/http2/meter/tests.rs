use std::time::Duration;

use super::*;
use crate::http2::meter::frame::{ErrorCode, FrameHeader, Kind, PREFACE};

mod abuse;
mod facts;
mod honest;
mod properties;

#[test]
fn a_meter_takes_half_a_kilobyte_at_most() {
    assert!(size_of::<Meter>() <= 512, "{}", size_of::<Meter>());
}

/// The payload of a header block: one field from the static table.
const BLOCK: &[u8] = &[0x82];

const END_STREAM: u8 = FrameHeader::END_STREAM;
const END_HEADERS: u8 = FrameHeader::END_HEADERS;
const ACK: u8 = FrameHeader::ACK;

/// A stream or a connection ends that nobody wants any more, for no fault.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// A frame.
fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    wharf_testkit::http2::frame(code(kind), flags, stream, payload)
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Data => 0x0,
        Kind::Headers => 0x1,
        Kind::Priority => 0x2,
        Kind::Reset => 0x3,
        Kind::Settings => 0x4,
        Kind::PushPromise => 0x5,
        Kind::Ping => 0x6,
        Kind::GoAway => 0x7,
        Kind::WindowUpdate => 0x8,
        Kind::Continuation => 0x9,
        Kind::PriorityUpdate => 0x10,
        Kind::Unknown(code) => code,
    }
}

/// A connection with its meter, and the time.
struct Connection {
    meter: Meter,
    now: Timestamp,
    next: u32,
    /// The worst that was.
    result: Result<(), Http2Abuse>,
}

impl Connection {
    /// A connection at its very start.
    fn silent() -> Self {
        Self {
            meter: Meter::new(&Limits::default(), Timestamp::ZERO),
            now: Timestamp::ZERO,
            next: 1,
            result: Ok(()),
        }
    }

    /// A connection on which both sides have agreed.
    fn open() -> Self {
        let mut connection = Self::silent();
        connection.client(PREFACE);
        connection.client(&frame(Kind::Settings, 0, 0, &[]));
        connection.server(&frame(Kind::Settings, 0, 0, &[]));
        connection.server(&frame(Kind::Settings, ACK, 0, &[]));
        connection.client(&frame(Kind::Settings, ACK, 0, &[]));
        connection
    }

    fn client(&mut self, bytes: &[u8]) {
        self.result = self.meter.received(bytes, self.now);
    }

    fn server(&mut self, bytes: &[u8]) {
        self.meter.sent(bytes, self.now);
    }

    fn wait(&mut self, micros: u64) {
        self.now = self.now.after(Duration::from_micros(micros));
    }

    /// The client opens a stream; its number.
    fn ask(&mut self, flags: u8) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.client(&frame(Kind::Headers, END_HEADERS | flags, stream, BLOCK));
        stream
    }

    /// We answer with so much content in one DATA frame, and end the stream.
    fn answer(&mut self, stream: u32, content: usize) {
        self.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
        self.server(&frame(Kind::Data, END_STREAM, stream, &vec![0; content]));
    }

    /// A whole exchange.
    fn call(&mut self) -> u32 {
        let stream = self.ask(END_STREAM);
        self.answer(stream, 13);
        stream
    }

    fn reset(&mut self, stream: u32) {
        self.client(&frame(Kind::Reset, 0, stream, &CANCEL));
    }

    fn ping(&mut self) {
        self.client(&frame(
            Kind::Ping,
            0,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08",
        ));
    }

    fn update(&mut self, stream: u32) {
        self.client(&frame(Kind::WindowUpdate, 0, stream, &[0, 0, 0x40, 0]));
    }

    fn is_fine(&self) -> bool {
        self.meter.standing() == Standing::Fine
    }
}
