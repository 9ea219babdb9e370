//! [`Meter`]: follows the bytes that a peer sends on an HTTP/1 connection, below hyper.
//!
//! hyper decides what a request *means*; the meter decides where it begins and ends, what it may not
//! look like, and what of it is still owed. It is stricter than hyper on purpose: of two readers that
//! disagree about where a request ends, one can be made to serve what the other has not seen. It
//! keeps no bytes, allocates nothing, and knows neither sockets nor clocks.
//!
//! [`Meter::feed`] is the whole of it; [`HeadScan`] and
//! [`ChunkScan`] do the looking, [`Fields`](super::fields) judges the fields.

use super::chunked::ChunkScan;
use super::head::{BodyFraming, Head, HeadLimits};
use super::head_scan::{HeadScan, Scanned};
use super::violation::Violation;

/// The framing of one connection's requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    phase: Phase,
    then: Then,
    blank_lines: u8,
}

/// What [`Meter::feed`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Bytes that `piece` takes from the start of what was fed.
    pub consumed: usize,
    /// What they are.
    pub piece: Piece,
}

/// A stretch of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// An empty line before a request line (RFC 9112 2.2).
    Blank,
    /// The start of a head. Nothing is consumed: feed the same bytes again, with more behind them.
    PartialHead,
    /// A complete head. If its body is empty, so is the message.
    Head(Head),
    /// Part of a body, or all of it; its framing is consumed with it.
    Body {
        /// Bytes of content.
        payload: u64,
        /// Whether the message is complete, trailers included.
        end: bool,
    },
    /// What follows a request that asks for an upgrade, whose answer decides what it is. Nothing is
    /// consumed until [`Meter::upgraded`] or [`Meter::not_upgraded`].
    Held,
    /// Everything belongs to the protocol after the upgrade.
    Tunnel,
}

/// Where a connection stands between what was fed and what is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before a request: nothing of it has come, but for empty lines.
    Boundary,
    /// Within a head.
    Head,
    /// Within a body.
    Body,
    /// After a request that asks for an upgrade.
    Held,
    /// After an upgrade.
    Tunnel,
    /// After a violation.
    Refused,
}

impl Meter {
    /// The meter of a new connection.
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Head(HeadScan::new()),
            then: Then::Request,
            blank_lines: 0,
        }
    }

    /// Looks at the next received bytes. Call it again with the rest until nothing is left, or until
    /// nothing is consumed ([`Piece::PartialHead`], [`Piece::Held`]).
    ///
    /// Where the input is cut changes nothing: pieces of one body add up to the same sums, everything
    /// else is found at the same byte. Feeding no bytes is allowed and changes nothing.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break. Then nothing more is a request: every later call
    /// returns the same.
    pub(crate) fn feed(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<Fed, Violation> {
        let fed = match &mut self.phase {
            Phase::Head(scan) => scan.scan(limits, bytes).and_then(|it| self.after_head(it)),
            Phase::Length(left) => {
                let length = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= length as u64;
                let end = *left == 0;
                Ok(self.after_body(length, length as u64, end))
            }
            Phase::Chunked(scan) => match scan.pass(limits, bytes) {
                Ok(passed) => {
                    let end = scan.is_over();
                    Ok(self.after_body(passed.bytes, passed.payload, end))
                }
                Err(violation) => Err(violation),
            },
            Phase::Held => Ok(Fed {
                consumed: 0,
                piece: Piece::Held,
            }),
            Phase::Tunnel => Ok(Fed {
                consumed: bytes.len(),
                piece: Piece::Tunnel,
            }),
            Phase::Refused(violation) => Err(*violation),
        };
        fed.inspect_err(|&violation| self.phase = Phase::Refused(violation))
    }

    /// The answer is 101: what follows the request belongs to the other protocol.
    ///
    /// If some of the request's body is still to come, only what follows that (RFC 9110 7.8).
    pub(crate) const fn upgraded(&mut self) {
        self.then = Then::Tunnel;
        match self.phase {
            Phase::Head(_) | Phase::Held => self.phase = Phase::Tunnel,
            Phase::Length(_) | Phase::Chunked(_) | Phase::Tunnel | Phase::Refused(_) => {}
        }
    }

    /// The answer is not 101: what follows is the next request.
    pub(crate) const fn not_upgraded(&mut self) {
        if let Then::Held = self.then {
            self.then = Then::Request;
        }
        if let Phase::Held = self.phase {
            self.phase = Phase::Head(HeadScan::new());
        }
    }

    /// Whether the request in hand asks for an upgrade, and is not answered yet.
    pub(crate) const fn asks_for_upgrade(&self) -> bool {
        matches!(self.then, Then::Held)
    }

    /// Where the connection stands.
    pub(crate) const fn place(&self) -> Place {
        match &self.phase {
            Phase::Head(scan) if scan.is_untouched() => Place::Boundary,
            Phase::Head(_) => Place::Head,
            Phase::Length(_) | Phase::Chunked(_) => Place::Body,
            Phase::Held => Place::Held,
            Phase::Tunnel => Place::Tunnel,
            Phase::Refused(_) => Place::Refused,
        }
    }

    /// Whether nothing of a request is outstanding: the last one has come to its end, trailers
    /// included, and the next has not begun.
    #[cfg(test)]
    pub(crate) const fn at_boundary(&self) -> bool {
        matches!(self.place(), Place::Boundary)
    }

    /// Whether the peer owes the rest of a body.
    #[cfg(test)]
    pub(crate) const fn in_body(&self) -> bool {
        matches!(self.place(), Place::Body)
    }

    fn after_head(&mut self, scanned: Scanned) -> Result<Fed, Violation> {
        let (head, consumed) = match scanned {
            Scanned::Partial => {
                return Ok(Fed {
                    consumed: 0,
                    piece: Piece::PartialHead,
                });
            }
            Scanned::Blank(_) if self.blank_lines == MAX_BLANK_LINES => {
                return Err(Violation::TooManyBlankLines);
            }
            Scanned::Blank(consumed) => {
                self.blank_lines += 1;
                return Ok(Fed {
                    consumed,
                    piece: Piece::Blank,
                });
            }
            Scanned::Complete(head, consumed) => (head, consumed),
        };
        self.blank_lines = 0;
        self.then = if head.asks.upgrade() {
            Then::Held
        } else {
            Then::Request
        };
        self.phase = match head.body {
            BodyFraming::None | BodyFraming::Length(0) => self.then.phase(),
            BodyFraming::Length(length) => Phase::Length(length),
            BodyFraming::Chunked => Phase::Chunked(ChunkScan::new()),
        };
        Ok(Fed {
            consumed,
            piece: Piece::Head(head),
        })
    }

    const fn after_body(&mut self, consumed: usize, payload: u64, end: bool) -> Fed {
        if end {
            self.phase = self.then.phase();
        }
        Fed {
            consumed,
            piece: Piece::Body { payload, end },
        }
    }
}

/// Of what the next byte is a part.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Head(HeadScan),
    /// A body of which this many bytes are to come.
    Length(u64),
    Chunked(ChunkScan),
    Held,
    Tunnel,
    Refused(Violation),
}

/// What follows the message in hand.
#[derive(Clone, Copy, Debug)]
enum Then {
    Request,
    Held,
    Tunnel,
}

impl Then {
    const fn phase(self) -> Phase {
        match self {
            Self::Request => Phase::Head(HeadScan::new()),
            Self::Held => Phase::Held,
            Self::Tunnel => Phase::Tunnel,
        }
    }
}

/// RFC 9112 2.2 asks for "at least one" to be ignored; some old clients send one after each body.
const MAX_BLANK_LINES: u8 = 4;

#[cfg(test)]
mod tests;
