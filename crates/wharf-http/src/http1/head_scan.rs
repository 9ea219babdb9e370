//! [`HeadScan`]: a request head (RFC 9112 2 to 5), looked at byte by byte, each byte once.
//!
//! A head arrives in any number of pieces. The scan remembers the element that it stands in and how
//! far it has looked, so a head that drips in costs no more than one that comes at once, and what is
//! wrong with it is found at the first byte that makes it wrong. Start with [`HeadScan::scan`].

use super::fields::{Fields, RequestLine};
use super::head::{BodyFraming, Head, HeadLimits, Method, Version};
use super::host::{self, Absolute};
use super::octets::{PATH, QUERY, TOKEN, find_control, find_other, trim};
use super::plain_head;
use super::violation::Violation;

/// How far a head has been looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadScan {
    element: Element,
    method: Method,
    version: Version,
    /// Where `element` begins; in [`Element::Value`], where its name begins.
    start: usize,
    /// The next byte to look at.
    seen: usize,
    /// Of the field in hand.
    colon: usize,
    target_start: usize,
    target_end: usize,
    field_count: usize,
    fields: Fields,
}

/// What a look at more bytes of a head has led to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scanned {
    /// The head is not complete.
    Partial,
    /// An empty line of this many bytes, instead of a head.
    Blank(usize),
    /// A head of this many bytes.
    Complete(Head, usize),
}

impl HeadScan {
    pub(super) const fn new() -> Self {
        Self {
            element: Element::Start,
            method: Method::Other,
            version: Version::Http11,
            start: 0,
            seen: 0,
            colon: 0,
            target_start: 0,
            target_end: 0,
            field_count: 0,
            fields: Fields::new(),
        }
    }

    /// Whether no byte has come yet.
    pub(super) const fn is_untouched(&self) -> bool {
        matches!(self.element, Element::Start)
    }

    /// Looks at the bytes that it has not seen; `bytes` begins at the head every time.
    pub(super) fn scan(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<Scanned, Violation> {
        if self.is_untouched()
            && let Some((head, length)) = plain_head::read(limits, bytes)
        {
            return Ok(Scanned::Complete(head, length));
        }
        let visible = &bytes[..bytes.len().min(limits.max_header_size)];
        while self.seen < visible.len() {
            let step = match self.element {
                Element::Start => Self::blank_line(visible)?.unwrap_or_else(|| self.start_line()),
                Element::Method => self.method(visible)?,
                Element::Path => self.target(limits, visible, PATH)?,
                Element::Query => self.target(limits, visible, QUERY)?,
                Element::Version => self.version(visible)?,
                Element::Name => self.name(limits, visible)?,
                Element::Value => self.value(visible)?,
            };
            match step {
                Step::On => {}
                Step::Short => break,
                Step::Blank(length) => return Ok(Scanned::Blank(length)),
                Step::End(length) => return self.finish(limits, length),
            }
        }
        if bytes.len() >= limits.max_header_size {
            return Err(Violation::HeadTooLarge);
        }
        Ok(Scanned::Partial)
    }

    /// RFC 9112 2.2: CRLF before a request line.
    fn blank_line(bytes: &[u8]) -> Result<Option<Step>, Violation> {
        match bytes[0] {
            b'\r' | b'\n' => Ok(Some(line_end(bytes, 0)?.map_or(Step::Short, Step::Blank))),
            _ => Ok(None),
        }
    }

    fn start_line(&mut self) -> Step {
        self.element = Element::Method;
        Step::On
    }

    /// RFC 9112 3.1: a token and one space.
    fn method(&mut self, bytes: &[u8]) -> Result<Step, Violation> {
        let Run::Ends(end) = self.run(bytes, TOKEN, LONGEST_METHOD) else {
            return self.more(bytes, LONGEST_METHOD, Violation::MethodTooLong);
        };
        if end == 0 || bytes[end] != b' ' {
            return Err(unexpected(bytes[end], Violation::MethodInvalid));
        }
        self.method = method_of(&bytes[..end])?;
        self.target_start = end + 1;
        Ok(self.begin(Element::Path, end + 1))
    }

    /// RFC 9112 3.2: not empty, and one space.
    fn target(&mut self, limits: &HeadLimits, bytes: &[u8], class: u8) -> Result<Step, Violation> {
        let Run::Ends(end) = self.run(bytes, class, limits.max_target) else {
            return self.more(bytes, limits.max_target, Violation::TargetTooLong);
        };
        match bytes[end] {
            b'?' if class == PATH => {
                self.element = Element::Query;
                self.seen = end + 1;
                Ok(Step::On)
            }
            b' ' if end > self.target_start => {
                self.target_end = end;
                Ok(self.begin(Element::Version, end + 1))
            }
            // HTTP/0.9 has no version; two spaces are one too many.
            b' ' | b'\r' => Err(Violation::RequestLineInvalid),
            byte => Err(unexpected(byte, Violation::TargetInvalid)),
        }
    }

    /// RFC 9112 2.3 and 3: `HTTP/1.0` or `HTTP/1.1`, and CRLF at once.
    fn version(&mut self, bytes: &[u8]) -> Result<Step, Violation> {
        while let Some(&byte) = bytes.get(self.seen) {
            let index = self.seen - self.start;
            let fits = match index {
                5 | 7 => byte.is_ascii_digit(),
                8 => byte == b'\r',
                9 => byte == b'\n',
                _ => byte == b"HTTP/1.1"[index],
            };
            if !fits {
                let otherwise = if index == 9 {
                    Violation::BareCr
                } else {
                    Violation::RequestLineInvalid
                };
                return Err(unexpected(byte, otherwise));
            }
            self.seen += 1;
            match (index, &bytes[self.start..self.seen]) {
                (7, b"HTTP/1.1") => self.version = Version::Http11,
                (7, b"HTTP/1.0") => self.version = Version::Http10,
                (7, _) => return Err(Violation::VersionUnsupported),
                (9, _) => {
                    self.check_target(&bytes[self.target_start..self.target_end])?;
                    return Ok(self.begin(Element::Name, self.seen));
                }
                _ => {}
            }
        }
        Ok(Step::Short)
    }

    /// RFC 9112 3.2.1, 3.2.2, 3.2.4. Judged after the version, so that the preface of HTTP/2, `PRI *
    /// HTTP/2.0`, is told that its version is the matter.
    fn check_target(&self, target: &[u8]) -> Result<(), Violation> {
        let fits = match target {
            [b'/', ..] => true,
            b"*" => self.method == Method::Options,
            _ => Absolute::parse(target).is_some_and(|url| host::is_valid(url.authority)),
        };
        if fits {
            Ok(())
        } else {
            Err(Violation::TargetForm)
        }
    }

    /// RFC 9112 5.1: a token directly followed by a colon; or the end of the head.
    fn name(&mut self, limits: &HeadLimits, bytes: &[u8]) -> Result<Step, Violation> {
        if self.seen == self.start {
            match bytes[self.start] {
                b'\r' | b'\n' => {
                    return Ok(line_end(bytes, self.start)?.map_or(Step::Short, Step::End));
                }
                b' ' | b'\t' => return Err(Violation::LineFolded),
                _ if self.field_count >= limits.max_headers => {
                    return Err(Violation::TooManyFields);
                }
                _ => {}
            }
        }
        let Run::Ends(end) = self.run(bytes, TOKEN, LONGEST_NAME) else {
            return self.more(bytes, LONGEST_NAME, Violation::FieldNameTooLong);
        };
        if bytes[end] != b':' || end == self.start {
            return Err(unexpected(bytes[end], Violation::FieldNameInvalid));
        }
        self.colon = end;
        self.element = Element::Value;
        self.seen = end + 1;
        Ok(Step::On)
    }

    /// RFC 9110 5.5: anything without control characters, up to CRLF.
    fn value(&mut self, bytes: &[u8]) -> Result<Step, Violation> {
        let Some(length) = find_control(&bytes[self.seen..]) else {
            self.seen = bytes.len();
            return Ok(Step::Short);
        };
        self.seen += length;
        let end = self.seen;
        let Some(next) = line_end(bytes, end)? else {
            return Ok(Step::Short);
        };
        let line = RequestLine {
            version: self.version,
            target: &bytes[self.target_start..self.target_end],
        };
        self.fields.note(
            line,
            &bytes[self.start..self.colon],
            trim(&bytes[self.colon + 1..end]),
        )?;
        self.field_count += 1;
        Ok(self.begin(Element::Name, next))
    }

    fn finish(&self, limits: &HeadLimits, length: usize) -> Result<Scanned, Violation> {
        let (body, asks) = self.fields.finish(self.version)?;
        if let (BodyFraming::Length(size), Some(max)) = (body, limits.max_body_size)
            && size > max
        {
            return Err(Violation::BodyTooLarge);
        }
        let head = Head {
            method: self.method,
            version: self.version,
            body,
            asks,
        };
        Ok(Scanned::Complete(head, length))
    }

    const fn begin(&mut self, element: Element, at: usize) -> Step {
        self.element = element;
        self.start = at;
        self.seen = at;
        Step::On
    }

    /// Where the run of bytes of `class` ends that the element consists of, if it is seen to end
    /// within `longest` bytes.
    fn run(&self, bytes: &[u8], class: u8, longest: usize) -> Run {
        let window = bytes
            .len()
            .min(self.start.saturating_add(longest).saturating_add(1));
        // Limits that have shrunk meanwhile may end before `seen`.
        find_other(class, bytes.get(self.seen..window).unwrap_or_default())
            .map_or(Run::GoesOn, |length| Run::Ends(self.seen + length))
    }

    /// The element goes on to the end of `bytes`; that is too long, or there is more to come.
    fn more(
        &mut self,
        bytes: &[u8],
        longest: usize,
        too_long: Violation,
    ) -> Result<Step, Violation> {
        if bytes.len() - self.start > longest {
            return Err(too_long);
        }
        self.seen = bytes.len();
        Ok(Step::Short)
    }
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Start,
    Method,
    Path,
    Query,
    Version,
    Name,
    Value,
}

enum Step {
    On,
    Short,
    Blank(usize),
    End(usize),
}

enum Run {
    Ends(usize),
    GoesOn,
}

/// The longest that is registered has 17 bytes (UPDATEREDIRECTREF).
const LONGEST_METHOD: usize = 32;

/// hyper panics in debug builds over a name of 64 KiB; nobody needs one of 1 KiB.
pub(super) const LONGEST_NAME: usize = 1024;

/// `bytes[at]` is a control character: the index after its CRLF, or `None` if LF may still come.
fn line_end(bytes: &[u8], at: usize) -> Result<Option<usize>, Violation> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => Ok(Some(at + 2)),
        (b'\r', None) => Ok(None),
        (b'\r', Some(_)) => Err(Violation::BareCr),
        (byte, _) => Err(unexpected(byte, Violation::ControlCharacter)),
    }
}

/// LF names itself wherever it stands; anything else is a breach of the rule at hand.
const fn unexpected(byte: u8, rule: Violation) -> Violation {
    if byte == b'\n' {
        Violation::BareLf
    } else {
        rule
    }
}

fn method_of(token: &[u8]) -> Result<Method, Violation> {
    Ok(match token {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"OPTIONS" => Method::Options,
        b"PATCH" => Method::Patch,
        b"TRACE" => Method::Trace,
        b"CONNECT" => return Err(Violation::MethodConnect),
        _ => Method::Other,
    })
}
