//! [`Meter`]: follows the frames of an HTTP/2 connection, both ways, below the codec.
//!
//! The codec bounds memory; it tells nobody what a peer sends that is not a request, nor what it has
//! begun and never ends. The meter sees all bytes and decides about these. It keeps no bytes, knows
//! neither sockets nor clocks, and allocates nothing but the table of open streams, which is bounded.
//!
//! It judges behaviour, not correctness: what breaks RFC 9113 is the codec's to answer, and is read
//! here in any way that does no harm. Where the bytes are cut changes nothing.

mod abuse;
mod allowance;
mod frame;
mod inbound;
mod outbound;
mod received;
mod score;
mod sent;
mod streams;
mod walk;

use wharf_control::Timestamp;

pub(crate) use abuse::Http2Abuse;
pub(crate) use allowance::Limits;
use allowance::REFUSED;
use inbound::Inbound;
pub(crate) use inbound::{Opening, Owed};
use outbound::Outbound;
use score::Score;
pub(crate) use score::Standing;
use streams::Streams;
use walk::Walk;

/// What one connection's bytes come to.
#[derive(Debug)]
pub(crate) struct Meter {
    inbound: Inbound,
    outbound: Outbound,
    streams: Streams,
    score: Score,
    tally: Tally,
}

/// What a connection has come to so far. All sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Streams that the client has opened, refused ones included.
    pub(crate) opened: u64,
    /// The highest stream among them.
    pub(crate) last_stream: u32,
    /// How many streams are open. Those being refused are among them until they are.
    pub(crate) open: u32,
    /// PINGs that are not answers.
    pub(crate) pings: u64,
    /// Content of the DATA that has come, without padding.
    pub(crate) data_received: u64,
    /// Room that the client has given the connection, beyond what each begins with.
    pub(crate) granted: u64,
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
            streams: Streams::new(most),
            score: Score::new(limits.allowances, now),
            tally: Tally::default(),
        }
    }

    /// Looks at the next bytes from the client, beginning with the preface.
    ///
    /// # Errors
    ///
    /// A budget is overdrawn. Then nothing more is looked at: every later call returns the same.
    /// None of `bytes` should reach the codec; nothing says how many of them are from before.
    pub(crate) fn received(&mut self, bytes: &[u8], now: Timestamp) -> Result<(), Http2Abuse> {
        self.score.refill(now);
        let mut rest = self.inbound.after_preface(bytes);
        loop {
            if let Some(abuse) = self.score.abuse() {
                return Err(abuse);
            }
            match self.inbound.walk.step(&mut rest, now) {
                Some(frame) => self.take(&frame, now),
                None => return Ok(()),
            }
        }
    }

    /// Looks at the next bytes to the client: all that the socket takes. What peers make us send counts
    /// too: ask [`Meter::standing`] afterwards.
    pub(crate) fn sent(&mut self, bytes: &[u8], now: Timestamp) {
        self.score.refill(now);
        let mut rest = bytes;
        while let Some(frame) = self.outbound.walk.step(&mut rest, now) {
            self.outbound.passed(frame.header, now);
            self.give(&frame);
        }
    }

    /// Whether a frame of our own may be sent now: what was sent is whole frames, our SETTINGS are among
    /// it, and no header block is open.
    pub(crate) fn at_boundary(&self) -> bool {
        self.outbound.at_boundary()
    }

    /// Whether the client has room for more DATA, on whichever stream (RFC 9113 6.9).
    pub(crate) fn has_room(&self) -> bool {
        let tally = self.tally();
        tally.data_sent < tally.granted.saturating_add(65_535)
    }

    /// The highest stream that the client has opened: the one to name in a GOAWAY.
    pub(crate) const fn last_stream(&self) -> u32 {
        self.tally.last_stream
    }

    /// How the peer stands. It only ever gets worse.
    pub(crate) const fn standing(&self) -> Standing {
        self.score.standing()
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

    /// Whether the client has sent its SETTINGS.
    pub(crate) const fn has_settings(&self) -> bool {
        self.inbound.has_settings()
    }

    /// What the client has begun and not completed, and when it began: of a header block its
    /// HEADERS, of a frame its first byte.
    pub(crate) fn owed(&self) -> Option<(Owed, Timestamp)> {
        self.inbound.owed()
    }

    /// The counts, up to the last byte.
    pub(crate) fn tally(&self) -> Tally {
        let partial = |walk: &Walk| u64::from(walk.content_so_far());
        let (coming, going) = (partial(&self.inbound.walk), partial(&self.outbound.walk));
        Tally {
            open: self.streams.open(),
            data_received: self.tally.data_received.saturating_add(coming),
            data_sent: self.tally.data_sent.saturating_add(going),
            ..self.tally
        }
    }
}

#[cfg(test)]
mod tests;
