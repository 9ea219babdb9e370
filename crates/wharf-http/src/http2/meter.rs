//! [`Meter`]: follows the frames of an HTTP/2 connection, both ways, below hyper.
//!
//! hyper's codec bounds memory; it tells nobody what a peer sends that is not a request, nor what
//! it has begun and never ends, and it has no way to send a frame of ours. The meter sees all bytes
//! and decides about these. It keeps no bytes, knows neither sockets nor clocks, and allocates
//! nothing but the table of open streams, which is bounded.
//!
//! It judges behaviour, not correctness: what breaks RFC 9113 is hyper's to answer, and is read
//! here in any way that does no harm. Where the bytes are cut changes nothing.

mod abuse;
mod allowance;
mod frame;
mod inbound;
#[cfg(test)]
mod oracle;
mod outbound;
mod received;
mod rendered;
mod score;
mod sent;
mod streams;
mod walk;

use wharf_control::Timestamp;

pub(crate) use abuse::Http2Abuse;
pub(crate) use allowance::Limits;
use allowance::REFUSED;
use frame::ErrorCode;
pub(crate) use frame::PREFACE;
use inbound::Inbound;
pub(crate) use inbound::{Opening, Owed};
use outbound::Outbound;
use rendered::Rendered;
use score::Score;
pub(crate) use score::Standing;
use streams::{Stream, Streams};
use walk::{Step, Walk};

/// What one connection's bytes come to.
#[derive(Debug)]
pub(crate) struct Meter {
    inbound: Inbound,
    outbound: Outbound,
    streams: Streams,
    score: Score,
    tally: Tally,
}

/// What a connection has come to so far. All counts saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Streams that the client has opened, refused ones included.
    pub(crate) opened: u64,
    /// The highest stream among them.
    pub(crate) last_stream: u32,
    /// PINGs that are not answers.
    pub(crate) pings: u64,
    /// Content of the DATA that has come, without padding.
    pub(crate) data_received: u64,
    /// Content of the DATA that was sent.
    pub(crate) data_sent: u64,
}

impl Meter {
    /// The meter of a new connection, which waits for the preface from now on.
    pub(crate) fn new(limits: &Limits, now: Timestamp) -> Self {
        // More than announced and all that may be refused: then the verdict is certain.
        let most = limits.max_streams.saturating_add(REFUSED);
        Self {
            inbound: Inbound::new(now),
            outbound: Outbound::new(),
            streams: Streams::new(most as usize),
            score: Score::new(limits.allowances, now),
            tally: Tally::default(),
        }
    }

    /// Looks at the next bytes from the client, beginning with the preface.
    ///
    /// # Errors
    ///
    /// A budget is overdrawn. Then nothing more is looked at: every later call returns the same.
    /// None of `bytes` should reach hyper; nothing says how many of them are from before.
    pub(crate) fn received(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Http2Abuse> {
        self.score.refill(now);
        let mut rest = self.inbound.after_preface(bytes);
        loop {
            if let Some(abuse) = self.score.abuse() {
                return Err(abuse);
            }
            match self.inbound.walk.step(&mut rest, now) {
                Some(Step::Frame(frame)) => self.take(&frame, now),
                Some(Step::Setting { id, value }) => self.inbound.setting(id, value),
                None => return Ok(()),
            }
        }
    }

    /// Looks at the next bytes to the client: all that the socket takes, hyper's and our own, in
    /// order. What peers make us send counts too: ask [`Meter::standing`] afterwards.
    pub(crate) fn sent(&mut self, bytes: &[u8], now: Timestamp) {
        self.score.refill(now);
        let mut rest = bytes;
        while let Some(step) = self.outbound.walk.step(&mut rest, now) {
            if let Step::Frame(frame) = step {
                self.outbound.passed(&frame, now);
                self.give(&frame);
            }
        }
    }

    /// How the peer stands. It only ever gets worse.
    pub(crate) const fn standing(&self) -> Standing {
        self.score.standing()
    }

    /// Whether a frame of our own may be sent now: all that was sent is whole frames, no header
    /// block is open, and our SETTINGS, which must come first, are among it.
    pub(crate) const fn at_boundary(&self) -> bool {
        self.outbound.at_boundary()
    }

    /// What of the beginning is waited for, and since when; `None` once both sides have agreed, and
    /// again after each SETTINGS of ours until it is acknowledged.
    ///
    /// Bytes that are no preface leave it at [`Opening::Preface`], and count for nothing.
    pub(crate) fn opening(&self) -> Option<(Opening, Timestamp)> {
        let unacknowledged = || {
            let since = self.outbound.unacknowledged()?;
            Some((Opening::Acknowledgement, since))
        };
        self.inbound.opening().or_else(unacknowledged)
    }

    /// Whether the client has sent its preface.
    pub(crate) const fn has_preface(&self) -> bool {
        self.inbound.has_preface()
    }

    /// Whether the client has sent its SETTINGS.
    pub(crate) const fn has_settings(&self) -> bool {
        self.inbound.has_settings()
    }

    /// Whether the client has acknowledged all SETTINGS of ours, of which there was one.
    pub(crate) const fn is_acknowledged(&self) -> bool {
        self.outbound.is_acknowledged()
    }

    /// What the client has begun and not completed, and when it began: of a header block its
    /// HEADERS, of a frame its first byte.
    pub(crate) fn owed(&self) -> Option<(Owed, Timestamp)> {
        self.inbound.owed()
    }

    /// How many streams are open. Those being refused are among them until they are.
    pub(crate) const fn open_streams(&self) -> usize {
        self.streams.open()
    }

    /// What is known of a stream, if it is open.
    pub(crate) fn stream(&self, number: u32) -> Option<Stream> {
        self.streams.get(number)
    }

    /// The highest stream that the client has opened: the one to name in a GOAWAY.
    pub(crate) const fn last_stream(&self) -> u32 {
        self.tally.last_stream
    }

    /// The counts, up to the last byte.
    pub(crate) fn tally(&self) -> Tally {
        let partial = |walk: &Walk| u64::from(walk.content_so_far());
        let (coming, going) = (partial(&self.inbound.walk), partial(&self.outbound.walk));
        Tally {
            data_received: self.tally.data_received.saturating_add(coming),
            data_sent: self.tally.data_sent.saturating_add(going),
            ..self.tally
        }
    }

    /// The window that the client gives each new stream (`SETTINGS_INITIAL_WINDOW_SIZE`).
    pub(crate) const fn initial_window(&self) -> u32 {
        self.inbound.initial_window()
    }

    /// Whether the client has sent GOAWAY.
    pub(crate) const fn is_leaving(&self) -> bool {
        self.inbound.leaving
    }

    /// The code of the last GOAWAY that was sent.
    pub(crate) const fn went_away(&self) -> Option<ErrorCode> {
        self.outbound.went_away
    }

    /// A PING of our own, to be sent at a boundary. Each has another content, so that answers are
    /// told apart from hyper's and from those that nobody asked for.
    ///
    /// hyper sees the answer as well, and ignores it, but for a line in its log.
    pub(crate) fn ping(&mut self) -> Rendered {
        Rendered::ping(self.outbound.next_ping())
    }

    /// Since when a PING of our own is unanswered: the sending of the first since none was.
    pub(crate) const fn unanswered_ping(&self) -> Option<Timestamp> {
        self.outbound.unanswered_ping()
    }
}

#[cfg(test)]
mod tests;
