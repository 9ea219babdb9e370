//! [`ChunkScan`]: a chunked body (RFC 9112 7.1), passed over without keeping any of it.

use super::head::HeadLimits;
use super::octets::{TOKEN, find_control, find_other, is};
use super::violation::Violation;

/// How far a chunked body has been passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkScan {
    element: Element,
    /// Digits of the size in hand.
    digits: u8,
    /// Trailer names that the name in hand may still become, one bit each.
    forbidden: u8,
    /// Bytes of the name in hand, as far as they matter.
    name_length: u8,
    /// The size in hand, then what is left of its data.
    left: u64,
    /// The data of the chunks so far, this one included.
    total: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_count: usize,
}

/// What was passed over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    /// Framing and data.
    pub(super) bytes: usize,
    /// Data.
    pub(super) payload: u64,
}

impl ChunkScan {
    pub(super) const fn new() -> Self {
        Self {
            element: Element::Size,
            digits: 0,
            forbidden: 0,
            name_length: 0,
            left: 0,
            total: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_count: 0,
        }
    }

    /// Whether the body and its trailers are over.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.element, Element::Over)
    }

    /// Passes over as many bytes as belong to the body.
    ///
    /// A violation is reported when it is the first byte; before that, what leads up to it is passed
    /// over. So the caller learns of the same bytes however they arrive.
    pub(super) fn pass(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<Passed, Violation> {
        let mut passed = Passed::default();
        while passed.bytes < bytes.len() && !self.is_over() {
            let in_data = self.element == Element::Data;
            match self.step(limits, &bytes[passed.bytes..]) {
                Ok(length) => {
                    passed.bytes += length;
                    passed.payload += if in_data { length as u64 } else { 0 };
                }
                Err(violation) if passed.bytes == 0 => return Err(violation),
                Err(_) => break,
            }
        }
        Ok(passed)
    }

    /// Passes over at least one byte of one element. On an error nothing has changed.
    fn step(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<usize, Violation> {
        let byte = bytes[0];
        match self.element {
            Element::Size => self.size(limits, byte),
            Element::Space => self.after_size(byte),
            Element::Extension => self.extension(bytes),
            Element::SizeLf => self.line_feed(byte, self.after_size_line()),
            Element::Data => Ok(self.data(bytes)),
            Element::DataCr if byte == b'\r' => Ok(self.go(Element::DataLf)),
            Element::DataLf if byte == b'\n' => Ok(self.go(Element::Size)),
            Element::DataCr | Element::DataLf => Err(Violation::ChunkEndInvalid),
            Element::Trailer => self.trailer(limits, bytes),
            Element::Name => self.name(limits, bytes),
            Element::Value => self.value(limits, bytes),
            Element::ValueLf => {
                self.room(limits)?;
                self.line_feed(byte, Element::Trailer)
                    .inspect(|_| self.trailer_bytes += 1)
            }
            Element::EndLf => self.line_feed(byte, Element::Over),
            Element::Over => Ok(0),
        }
    }

    /// RFC 9112 7.1: `chunk-size = 1*HEXDIG`; 16 of them fill 64 bits.
    fn size(&mut self, limits: &HeadLimits, byte: u8) -> Result<usize, Violation> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            return if self.digits > 0 {
                self.after_size(byte)
            } else {
                Err(Violation::ChunkSizeInvalid)
            };
        };
        if self.digits == 16 {
            return Err(Violation::ChunkSizeInvalid);
        }
        let before = if self.digits == 0 { 0 } else { self.left };
        let size = before << 4 | u64::from(digit);
        // The size can only grow with more digits, so this is the earliest byte that breaks it.
        let total = (self.total - before)
            .checked_add(size)
            .ok_or(Violation::BodyTooLarge)?;
        if limits.max_body_size.is_some_and(|max| total > max) {
            return Err(Violation::BodyTooLarge);
        }
        (self.left, self.total) = (size, total);
        self.digits += 1;
        Ok(1)
    }

    /// RFC 9112 7.1.1: white space only before an extension.
    fn after_size(&mut self, byte: u8) -> Result<usize, Violation> {
        match byte {
            b'\r' if self.element == Element::Size => Ok(self.go(Element::SizeLf)),
            b' ' | b'\t' => self.extension_byte(Element::Space),
            b';' => self.extension_byte(Element::Extension),
            b'\n' => Err(Violation::BareLf),
            _ => Err(Violation::ChunkSizeInvalid),
        }
    }

    fn extension_byte(&mut self, next: Element) -> Result<usize, Violation> {
        if self.extension_bytes == MAX_EXTENSION_BYTES {
            return Err(Violation::ChunkExtensionsTooLong);
        }
        self.extension_bytes += 1;
        Ok(self.go(next))
    }

    /// RFC 9112 7.1.1: ignored, but neither endless nor a place for line ends (CVE-2025-55315).
    fn extension(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        match find_control(bytes).unwrap_or(bytes.len()) {
            0 if bytes[0] == b'\r' => Ok(self.go(Element::SizeLf)),
            0 => Err(forbidden_control(bytes[0])),
            length => {
                let length = length.min(MAX_EXTENSION_BYTES - self.extension_bytes);
                if length == 0 {
                    return Err(Violation::ChunkExtensionsTooLong);
                }
                self.extension_bytes += length;
                Ok(length)
            }
        }
    }

    const fn after_size_line(&self) -> Element {
        if self.left == 0 {
            Element::Trailer
        } else {
            Element::Data
        }
    }

    fn data(&mut self, bytes: &[u8]) -> usize {
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.left -= length as u64;
        if self.left == 0 {
            self.digits = 0;
            self.element = Element::DataCr;
        }
        length
    }

    /// RFC 9112 7.1.2: the first byte of a trailer, or the end.
    fn trailer(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<usize, Violation> {
        self.room(limits)?;
        match bytes[0] {
            b'\r' => {
                self.trailer_bytes += 1;
                Ok(self.go(Element::EndLf))
            }
            b'\n' => Err(Violation::BareLf),
            b' ' | b'\t' => Err(Violation::LineFolded),
            byte if !is(TOKEN, byte) => Err(Violation::FieldNameInvalid),
            _ if self.trailer_count >= limits.max_headers => Err(Violation::TooManyTrailers),
            _ => {
                self.trailer_count += 1;
                self.name_length = 0;
                self.forbidden = (1 << FORBIDDEN.len()) - 1;
                self.element = Element::Name;
                self.name(limits, bytes)
            }
        }
    }

    fn name(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<usize, Violation> {
        let room = self.room(limits)?;
        match find_other(TOKEN, bytes).unwrap_or(bytes.len()).min(room) {
            0 if bytes[0] == b':' => {
                if self.is_forbidden() {
                    return Err(Violation::TrailerForbidden);
                }
                self.trailer_bytes += 1;
                Ok(self.go(Element::Value))
            }
            0 if bytes[0] == b'\n' => Err(Violation::BareLf),
            0 => Err(Violation::FieldNameInvalid),
            length => {
                bytes[..length]
                    .iter()
                    .for_each(|&byte| self.match_name(byte));
                self.trailer_bytes += length;
                Ok(length)
            }
        }
    }

    fn value(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<usize, Violation> {
        let room = self.room(limits)?;
        match find_control(bytes).unwrap_or(bytes.len()).min(room) {
            0 if bytes[0] == b'\r' => {
                self.trailer_bytes += 1;
                Ok(self.go(Element::ValueLf))
            }
            0 => Err(forbidden_control(bytes[0])),
            length => {
                self.trailer_bytes += length;
                Ok(length)
            }
        }
    }

    /// How many bytes of trailers may still come; at least one. hyper counts the last CRLF too and
    /// refuses when the limit is reached, so ours stays under it.
    fn room(&self, limits: &HeadLimits) -> Result<usize, Violation> {
        let most = limits.max_header_size.min(MAX_TRAILER_BYTES);
        match most.saturating_sub(self.trailer_bytes + 2) {
            0 => Err(Violation::TrailersTooLarge),
            room => Ok(room),
        }
    }

    fn match_name(&mut self, byte: u8) {
        let index = usize::from(self.name_length);
        for (bit, name) in FORBIDDEN.iter().enumerate() {
            if name.get(index) != Some(&byte.to_ascii_lowercase()) {
                self.forbidden &= !(1 << bit);
            }
        }
        self.name_length = self.name_length.saturating_add(1);
    }

    fn is_forbidden(&self) -> bool {
        let is_whole = |name: &[u8]| name.len() == usize::from(self.name_length);
        FORBIDDEN
            .iter()
            .enumerate()
            .any(|(bit, name)| self.forbidden & 1 << bit != 0 && is_whole(name))
    }

    const fn line_feed(&mut self, byte: u8, next: Element) -> Result<usize, Violation> {
        if byte != b'\n' {
            return Err(Violation::BareCr);
        }
        Ok(self.go(next))
    }

    const fn go(&mut self, next: Element) -> usize {
        self.element = next;
        1
    }
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Size,
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the begin of a line after the last chunk.
    Trailer,
    Name,
    Value,
    ValueLf,
    EndLf,
    Over,
}

/// In all chunks of one body together, with the white space before them, as in hyper.
const MAX_EXTENSION_BYTES: usize = 16 * 1024;

/// hyper's own bound, so that we answer where it would only break off.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// RFC 9110 6.5.1: what would frame or route the request, were it merged into the head.
const FORBIDDEN: [&[u8]; 3] = [b"host", b"content-length", b"transfer-encoding"];

/// A control character other than HTAB and CR.
const fn forbidden_control(byte: u8) -> Violation {
    if byte == b'\n' {
        Violation::BareLf
    } else {
        Violation::ControlCharacter
    }
}
