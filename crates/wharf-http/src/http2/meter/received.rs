//! What each frame of a client's does to the [`Meter`].

use wharf_control::Timestamp;

use super::Meter;
use super::abuse::Http2Abuse;
use super::allowance::price;
use super::frame::{FrameHeader, HEADER_BYTES, Kind};
use super::inbound::Block;
use super::walk::Frame;

impl Meter {
    /// A frame from the client.
    #[inline]
    pub(super) fn take(&mut self, frame: &Frame, now: Timestamp) {
        let header = frame.header;
        let content = frame.content();
        match header.kind {
            Kind::Data => self.data(header, content),
            Kind::Headers => self.headers(header, content, now),
            Kind::Continuation => self.continuation(header, content, now),
            Kind::Reset => self.reset(header.stream, now),
            Kind::Settings => self.settings(header),
            Kind::Ping if header.has(FrameHeader::ACK) => {
                if !self.outbound.ping_acknowledged() {
                    self.score.charge(Http2Abuse::PingAckFlood, 1);
                }
            }
            Kind::Ping => {
                self.tally.pings = self.tally.pings.saturating_add(1);
                self.score.charge(Http2Abuse::PingFlood, 1);
            }
            Kind::WindowUpdate => {
                if header.stream == 0 {
                    let room = u64::from(frame.number() & 0x7fff_ffff);
                    self.tally.granted = self.tally.granted.saturating_add(room);
                }
                self.score.charge(Http2Abuse::WindowUpdateFlood, 1);
            }
            Kind::Priority | Kind::PriorityUpdate => {
                self.score.charge(Http2Abuse::PriorityFlood, 1);
            }
            Kind::GoAway => self.score.charge(Http2Abuse::GoAwayFlood, 1),
            Kind::PushPromise | Kind::Unknown(_) => {
                self.score.charge(Http2Abuse::UnknownFlood, 1);
            }
        }
        self.overhead(header, content);
    }

    fn data(&mut self, header: FrameHeader, content: u32) {
        self.tally.data_received = self.tally.data_received.saturating_add(content.into());
        let ends = header.has(FrameHeader::END_STREAM);
        if content >= price::TINY {
            self.score
                .earn(Http2Abuse::TinyDataFlood, content / price::CONTENT_PER_TINY);
            self.score
                .earn(Http2Abuse::PingFlood, content / price::CONTENT_PER_PING);
        } else if !ends {
            let price = if content == 0 { price::EMPTY_DATA } else { 1 };
            self.score.charge(Http2Abuse::TinyDataFlood, price);
        }
        if ends {
            self.streams.end_of_peer(header.stream);
        }
    }

    fn headers(&mut self, header: FrameHeader, content: u32, now: Timestamp) {
        if content == 0 {
            self.score.charge(Http2Abuse::EmptyHeadersFlood, 1);
        } else {
            // Some end a request with trailers, and have none.
            self.score.earn(Http2Abuse::EmptyHeadersFlood, 1);
        }
        let begun = self.inbound.walk.begun();
        self.inbound.block = Some(Block {
            stream: header.stream,
            ends_stream: header.has(FrameHeader::END_STREAM),
            since: begun,
        });
        self.end_of_piece(header, now);
    }

    fn continuation(&mut self, header: FrameHeader, content: u32, now: Timestamp) {
        self.score.charge(Http2Abuse::ContinuationFlood, 1);
        if content == 0 {
            self.score.charge(Http2Abuse::EmptyHeadersFlood, 1);
        }
        self.end_of_piece(header, now);
    }

    fn end_of_piece(&mut self, header: FrameHeader, now: Timestamp) {
        if header.has(FrameHeader::END_HEADERS)
            && let Some(block) = self.inbound.block.take()
        {
            if block.stream > self.tally.last_stream && block.stream % 2 == 1 {
                self.opened(block.stream, now);
            }
            if block.ends_stream {
                self.streams.end_of_peer(block.stream);
            }
        }
    }

    fn opened(&mut self, stream: u32, now: Timestamp) {
        self.tally.last_stream = stream;
        self.tally.opened = self.tally.opened.saturating_add(1);
        if self.streams.open_stream(stream, now).is_err() {
            self.score.charge(Http2Abuse::RefusedStreams, u32::MAX);
        }
        for (kind, n) in [
            (Http2Abuse::PingFlood, 1),
            (Http2Abuse::PriorityFlood, price::PRIORITIES_PER_STREAM),
            (Http2Abuse::WindowUpdateFlood, price::UPDATES_PER_STREAM),
            (Http2Abuse::UnknownFlood, price::UNKNOWN_PER_STREAM),
            (Http2Abuse::ResetFlood, 1),
            (
                Http2Abuse::ContinuationFlood,
                price::CONTINUATIONS_PER_STREAM,
            ),
        ] {
            self.score.earn(kind, n);
        }
    }

    fn reset(&mut self, stream: u32, now: Timestamp) {
        match self.streams.close(stream) {
            None => self.score.charge(Http2Abuse::ResetFlood, price::RESET),
            Some(taken) if !taken.is_answered() && taken.age_ms(now) < price::RAPID_MS => {
                self.score.charge(Http2Abuse::RapidReset, 1);
            }
            Some(_) => {}
        }
    }

    fn settings(&mut self, header: FrameHeader) {
        if header.has(FrameHeader::ACK) {
            if !self.outbound.settings_acknowledged() {
                self.score.charge(Http2Abuse::SettingsFlood, 1);
            }
        } else {
            self.inbound.settings();
            let entries = header.length / 6;
            let price = 1 + entries / price::ENTRIES_PER_SETTINGS;
            self.score.charge(Http2Abuse::SettingsFlood, price);
        }
    }

    #[inline]
    fn overhead(&mut self, header: FrameHeader, content: u32) {
        let around = (header.length - content) + HEADER_BYTES;
        let paid = content.saturating_mul(price::OVERHEAD_PER_CONTENT);
        if around > paid {
            self.score.charge(Http2Abuse::Overhead, around - paid);
        } else {
            self.score.earn(Http2Abuse::Overhead, paid - around);
        }
    }
}
