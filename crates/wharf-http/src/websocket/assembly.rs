//! [`Assembly`]: a client's frames become messages.
//!
//! The rules of framing and the limits have been enforced before ([`Meter`](super::meter::Meter)):
//! what comes here is masked, in order, and not too large. What remains is what the bytes say.

use bytes::{Bytes, BytesMut};

use super::frame::{FrameHead, HeadScan, Opcode};
use super::message::{CloseCode, CloseFrame, Message, Utf8Bytes};
use super::violation::Violation;

/// A client's frames, as far as they are no message yet.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    scan: HeadScan,
    frame: Option<Part>,
    /// Of the message that has begun.
    kind: Option<Kind>,
    data: BytesMut,
    /// How much of a text is known to be one.
    checked: usize,
}

/// The frame whose payload is coming.
#[derive(Clone, Copy, Debug)]
struct Part {
    what: What,
    last: bool,
    left: u64,
    /// Turned to where the payload goes on.
    mask: [u8; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Message,
    Close,
    /// A Pong that nobody has asked for. It may stand between two fragments, and leaves no trace.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

impl Assembly {
    /// Whether nothing is kept.
    pub(crate) fn is_idle(&self) -> bool {
        self.frame.is_none() && self.kind.is_none() && self.scan.is_untouched()
    }

    /// How much of a payload comes next, where it is data: that may be read into [`Assembly::data`].
    pub(crate) fn wanted(&self) -> Option<usize> {
        let part = self.frame.filter(|part| part.what == What::Message)?;
        usize::try_from(part.left).ok().filter(|left| *left > 0)
    }

    /// What is assembled, for more of the payload in hand.
    pub(crate) fn data(&mut self) -> &mut BytesMut {
        &mut self.data
    }

    /// So many bytes have been put behind [`Assembly::data`].
    ///
    /// # Errors
    ///
    /// What the bytes must not say.
    pub(crate) fn extended(&mut self, bytes: usize) -> Result<Option<Message>, Violation> {
        let at = self.data.len().saturating_sub(bytes);
        self.taken(at)
    }

    /// Takes bytes from the front of `bytes` until there is a message, or none are left.
    ///
    /// # Errors
    ///
    /// What the bytes must not say.
    pub(crate) fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, Violation> {
        while !bytes.is_empty() {
            if self.frame.is_none() {
                let (used, head) = self.scan.take(bytes);
                *bytes = &bytes[used..];
                if let Some(head) = head {
                    self.begin(&head);
                    if head.length == 0
                        && let Some(message) = self.payload(&[])?
                    {
                        return Ok(Some(message));
                    }
                }
                continue;
            }
            let left = self.frame.map_or(0, |part| part.left);
            let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(used);
            *bytes = rest;
            if let Some(message) = self.payload(payload)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, head: &FrameHead) {
        let what = match head.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary => What::Message,
            Opcode::Close => What::Close,
            Opcode::Ping | Opcode::Pong | Opcode::Reserved => What::Nothing,
        };
        match head.opcode {
            Opcode::Text => self.kind = Some(Kind::Text),
            Opcode::Binary => self.kind = Some(Kind::Binary),
            // Nothing comes after it that could complete what has begun.
            Opcode::Close => self.data.clear(),
            Opcode::Continuation | Opcode::Ping | Opcode::Pong | Opcode::Reserved => {}
        }
        self.frame = Some(Part {
            what,
            last: head.last,
            left: head.length,
            mask: head.mask.unwrap_or_default(),
        });
    }

    /// A piece of the payload in hand is here.
    fn payload(&mut self, bytes: &[u8]) -> Result<Option<Message>, Violation> {
        let Some(part) = &mut self.frame else {
            return Ok(None);
        };
        if part.what == What::Nothing {
            part.left = part.left.saturating_sub(bytes.len() as u64);
            if part.left == 0 {
                self.frame = None;
            }
            return Ok(None);
        }
        let at = self.data.len();
        self.data.extend_from_slice(bytes);
        self.taken(at)
    }

    /// A piece of the payload in hand is in `data`, from `at` on.
    fn taken(&mut self, at: usize) -> Result<Option<Message>, Violation> {
        let Some(part) = &mut self.frame else {
            return Ok(None);
        };
        let payload = &mut self.data[at..];
        unmask(payload, part.mask);
        let bytes = payload.len();
        part.mask.rotate_left(bytes % 4);
        part.left = part.left.saturating_sub(bytes as u64);
        let Part {
            what, last, left, ..
        } = *part;
        let is_whole = last && left == 0;
        if what == What::Message && self.kind == Some(Kind::Text) {
            self.check(is_whole)?;
        }
        if left == 0 {
            self.frame = None;
        }
        if is_whole {
            self.complete(what)
        } else {
            Ok(None)
        }
    }

    /// Looks at the text that is new; at its end no character may be cut.
    fn check(&mut self, is_whole: bool) -> Result<(), Violation> {
        match std::str::from_utf8(&self.data[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() && !is_whole => {
                self.checked += error.valid_up_to();
            }
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }

    fn complete(&mut self, what: What) -> Result<Option<Message>, Violation> {
        self.checked = 0;
        let data = std::mem::take(&mut self.data).freeze();
        let kind = self.kind.take();
        if what == What::Close {
            return close(&data).map(|why| Some(Message::Close(why)));
        }
        match kind {
            Some(Kind::Text) => match Utf8Bytes::try_from(data) {
                Ok(text) => Ok(Some(Message::Text(text))),
                Err(_) => Err(Violation::NotUtf8),
            },
            Some(Kind::Binary) => Ok(Some(Message::Binary(data))),
            None => Ok(None),
        }
    }
}

/// What a client's Close says (RFC 6455 5.5.1).
fn close(payload: &Bytes) -> Result<Option<CloseFrame>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(None)
        } else {
            Err(Violation::CloseMalformed)
        };
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::CloseMalformed)?;
    let reason = Utf8Bytes::try_from(payload.slice_ref(reason)).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(CloseFrame::new(code, reason)))
}

/// RFC 6455 5.3.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let word = u32::from_ne_bytes(mask);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
