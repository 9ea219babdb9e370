//! What each frame of ours does to the [`Meter`].

use super::Meter;
use super::abuse::Http2Abuse;
use super::allowance::price;
use super::frame::{ErrorCode, FrameHeader, Kind};
use super::walk::Frame;

impl Meter {
    /// A frame to the client.
    #[inline]
    pub(super) fn give(&mut self, frame: &Frame) {
        let header = frame.header;
        let content = frame.content();
        let ends = header.has(FrameHeader::END_STREAM);
        match header.kind {
            Kind::Data => {
                self.tally.data_sent = self.tally.data_sent.saturating_add(content.into());
                let pieces = 1 + content / price::DATA;
                self.score.earn(
                    Http2Abuse::WindowUpdateFlood,
                    pieces.saturating_mul(price::UPDATES_PER_DATA),
                );
                self.score.earn(Http2Abuse::PingFlood, pieces);
            }
            Kind::Headers => {
                if self.streams.answer(header.stream) {
                    self.score.earn(Http2Abuse::RapidReset, 1);
                }
            }
            Kind::Reset => {
                self.streams.close(header.stream);
                self.reset_by_us(ErrorCode(frame.number()));
            }
            Kind::Priority
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Continuation
            | Kind::PriorityUpdate
            | Kind::Unknown(_) => return,
        }
        let paid = content.saturating_mul(price::OVERHEAD_PER_CONTENT);
        self.score.earn(Http2Abuse::Overhead, paid);
        if ends && !matches!(header.kind, Kind::Reset) {
            self.streams.end_of_ours(header.stream);
        }
    }

    fn reset_by_us(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::REFUSED_STREAM => self.score.charge(Http2Abuse::RefusedStreams, 1),
            ErrorCode::PROTOCOL_ERROR
            | ErrorCode::FLOW_CONTROL_ERROR
            | ErrorCode::STREAM_CLOSED
            | ErrorCode::FRAME_SIZE_ERROR => self.score.charge(Http2Abuse::MadeYouReset, 1),
            _ => {}
        }
    }
}
