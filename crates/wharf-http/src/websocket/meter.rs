//! [`Meter`]: follows the frames that a client sends, below whoever handles them.
//!
//! It says which bytes are the handler's and which are ours to answer, and where the rules and limits
//! are broken. It keeps no bytes but those of a control frame, and knows neither sockets nor clocks.

use super::control::{Control, MOST};
use super::frame::{FrameHead, HeadScan, Opcode};
use super::violation::Violation;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
    pub(crate) max_fragments: u32,
    /// Whether the handler has agreed on an extension, which gives the reserved bits a meaning.
    pub(crate) extensions: bool,
}

/// The frames of one client.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    scan: HeadScan,
    /// The frame whose payload is coming.
    frame: Option<Frame>,
    /// The message that has begun and is not complete.
    message: Option<Message>,
    captured: Option<Box<Control>>,
    closed: bool,
    refused: Option<Violation>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    left: u64,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    size: u64,
    fragments: u32,
}

/// What [`Meter::feed`] has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Bytes that `piece` takes from the start of what was fed.
    pub(crate) consumed: usize,
    /// What they are.
    pub(crate) piece: Piece,
}

/// A stretch of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Part of a frame that is the handler's.
    Handler,
    /// Part of a Ping or Pong.
    Kept,
    /// The end of a Ping.
    Ping(Box<Control>),
    /// The end of a Pong.
    Pong(Box<Control>),
    /// The end of the client's Close, which is the handler's too; with its code.
    Closed(Option<u16>),
    /// What follows a Close is nobody's (RFC 6455 5.5.1).
    After,
}

impl Meter {
    /// Looks at the next received bytes. Call it again with the rest until nothing is left.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break; every later call returns the same.
    pub(crate) fn feed(&mut self, limits: &Limits, bytes: &[u8]) -> Result<Fed, Violation> {
        if let Some(violation) = self.refused {
            return Err(violation);
        }
        if self.closed {
            let (consumed, piece) = (bytes.len(), Piece::After);
            return Ok(Fed { consumed, piece });
        }
        if self.frame.is_some() {
            return Ok(self.payload(bytes));
        }
        let (consumed, head) = self.scan.take(bytes);
        let Some(head) = head else {
            let piece = match self.scan.opcode() {
                Some(Opcode::Ping | Opcode::Pong) => Piece::Kept,
                _ => Piece::Handler,
            };
            return Ok(Fed { consumed, piece });
        };
        self.begin(limits, &head)
            .inspect_err(|&violation| self.refused = Some(violation))?;
        let piece = self.payload(&[]).piece;
        Ok(Fed { consumed, piece })
    }

    /// Whether the client owes the rest of a frame or of a message.
    pub(crate) fn is_amid(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || !self.scan.is_untouched()
    }

    fn begin(&mut self, limits: &Limits, head: &FrameHead) -> Result<(), Violation> {
        if head.reserved != 0 && !limits.extensions {
            return Err(Violation::ReservedBits);
        }
        if head.mask.is_none() {
            return Err(Violation::NotMasked);
        }
        if head.opcode == Opcode::Reserved {
            return Err(Violation::ReservedOpcode);
        }
        if head.opcode.is_control() {
            self.begin_control(head)?;
        } else {
            self.begin_data(limits, head)?;
        }
        self.frame = Some(Frame {
            opcode: head.opcode,
            last: head.last,
            left: head.length,
        });
        Ok(())
    }

    fn begin_control(&mut self, head: &FrameHead) -> Result<(), Violation> {
        if !head.last {
            return Err(Violation::ControlFragmented);
        }
        if head.length > MOST as u64 {
            return Err(Violation::ControlTooLong);
        }
        self.captured = Some(Box::new(Control::new(head)));
        Ok(())
    }

    fn begin_data(&mut self, limits: &Limits, head: &FrameHead) -> Result<(), Violation> {
        let begun = match (head.opcode, self.message) {
            (Opcode::Continuation, None) => return Err(Violation::NothingToContinue),
            (Opcode::Continuation, Some(message)) => message,
            (_, Some(_)) => return Err(Violation::MessageWithinMessage),
            (_, None) => Message {
                size: 0,
                fragments: 0,
            },
        };
        if head.length >> 63 != 0 {
            return Err(Violation::LengthInvalid);
        }
        if head.length > limits.max_frame {
            return Err(Violation::FrameTooLarge);
        }
        let message = Message {
            size: begun.size.saturating_add(head.length),
            fragments: begun.fragments.saturating_add(1),
        };
        if message.size > limits.max_message {
            return Err(Violation::MessageTooLarge);
        }
        if message.fragments > limits.max_fragments {
            return Err(Violation::TooManyFragments);
        }
        self.message = Some(message);
        Ok(())
    }

    /// More of the payload of the frame in hand, and its end if nothing of it is left.
    fn payload(&mut self, bytes: &[u8]) -> Fed {
        let handlers = Fed {
            consumed: 0,
            piece: Piece::Handler,
        };
        let Some(frame) = &mut self.frame else {
            return handlers;
        };
        let consumed = usize::try_from(frame.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        frame.left -= consumed as u64;
        if let Some(control) = &mut self.captured {
            control.extend(&bytes[..consumed]);
        }
        let Frame { opcode, last, left } = *frame;
        if left == 0 {
            self.frame = None;
        }
        let piece = match opcode {
            Opcode::Ping | Opcode::Pong if left > 0 => Piece::Kept,
            Opcode::Ping => self.captured.take().map_or(Piece::Kept, Piece::Ping),
            Opcode::Pong => self.captured.take().map_or(Piece::Kept, Piece::Pong),
            Opcode::Close if left == 0 => {
                self.closed = true;
                Piece::Closed(self.captured.take().and_then(|it| code_of(&it)))
            }
            Opcode::Close | Opcode::Reserved => Piece::Handler,
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                if left == 0 && last {
                    self.message = None;
                }
                Piece::Handler
            }
        };
        Fed { consumed, piece }
    }
}

/// RFC 6455 5.5.1: the first two bytes, if there are any.
fn code_of(close: &Control) -> Option<u16> {
    let mut payload = close.payload();
    let code = [payload.next()?, payload.next()?];
    Some(u16::from_be_bytes(code))
}

#[cfg(test)]
mod tests;
