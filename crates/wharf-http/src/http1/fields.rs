//! [`Fields`]: what the fields of one head say about framing and about the connection.

use super::head::{Asks, BodyFraming, Version};
use super::host::{self, Absolute};
use super::octets::members;
use super::violation::Violation;

/// The part of the request line that fields are judged by.
#[derive(Clone, Copy)]
pub(super) struct RequestLine<'a> {
    pub(super) version: Version,
    pub(super) target: &'a [u8],
}

/// What the fields have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    seen: u16,
    content_length: u64,
}

impl Fields {
    pub(super) const fn new() -> Self {
        Self {
            seen: 0,
            content_length: 0,
        }
    }

    /// Judges and remembers one field; `value` comes without the white space around it.
    pub(super) fn note(
        &mut self,
        line: RequestLine<'_>,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Violation> {
        // The length first: it settles nearly every field with one comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(line, value),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expect(value);
                Ok(())
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.mark(UPGRADE);
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.connection(value);
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.transfer_encoding(line.version, value)
            }
            _ => Ok(()),
        }
    }

    /// The head is complete: how its body is framed, and what it asks for.
    pub(super) fn finish(self, version: Version) -> Result<(BodyFraming, Asks), Violation> {
        // RFC 9112 3.2: a server must answer 400 to an HTTP/1.1 request without Host.
        if version == Version::Http11 && !self.has(HOST) {
            return Err(Violation::HostMissing);
        }
        let body = if self.has(CHUNKED) {
            BodyFraming::Chunked
        } else if self.has(LENGTH) {
            BodyFraming::Length(self.content_length)
        } else {
            BodyFraming::None
        };
        let mut asks = Asks::default();
        // RFC 9112 9.3.
        if !self.has(CLOSE) && (version == Version::Http11 || self.has(KEEP_ALIVE)) {
            asks = asks.and(Asks::KEEP_ALIVE);
        }
        // RFC 9110 10.1.1 and 7.8: ignore both in HTTP/1.0; Upgrade only counts with its option.
        if version == Version::Http11 {
            if self.has(CONTINUE) {
                asks = asks.and(Asks::CONTINUE);
            }
            if self.has(UPGRADE) && self.has(UPGRADE_OPTION) {
                asks = asks.and(Asks::UPGRADE);
            }
        }
        Ok((body, asks))
    }

    /// RFC 9112 3.2: one Host, which names the authority of the target.
    fn host(&mut self, line: RequestLine<'_>, value: &[u8]) -> Result<(), Violation> {
        if self.mark(HOST) {
            return Err(Violation::HostRepeated);
        }
        // Empty stands for "no authority". A URL of http has one (RFC 9110 4.2.1), `*` has none.
        if value.is_empty() && line.target == b"*" {
            return Ok(());
        }
        if !host::is_valid(value) {
            return Err(Violation::HostInvalid);
        }
        match Absolute::parse(line.target) {
            Some(target) if !target.is_same(value) => Err(Violation::HostMismatch),
            _ => Ok(()),
        }
    }

    /// RFC 9110 8.6 and RFC 9112 6.3: one number. A sign, a list, or a second field is refused.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.mark(LENGTH) {
            return Err(Violation::ContentLengthRepeated);
        }
        // 19 digits always fit.
        if !(1..=19).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
            return Err(Violation::ContentLengthInvalid);
        }
        self.content_length = value
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        self.not_both()
    }

    /// RFC 9112 6.1: `chunked`, once, and only on HTTP/1.1.
    fn transfer_encoding(&mut self, version: Version, value: &[u8]) -> Result<(), Violation> {
        if version == Version::Http10 {
            return Err(Violation::TransferEncodingOnHttp10);
        }
        if self.mark(CHUNKED) {
            return Err(Violation::TransferEncodingRepeated);
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::TransferEncodingInvalid);
        }
        self.not_both()
    }

    /// RFC 9112 6.3: whoever sends both wants two readers to disagree.
    fn not_both(self) -> Result<(), Violation> {
        if self.has(LENGTH) && self.has(CHUNKED) {
            return Err(Violation::LengthAndEncoding);
        }
        Ok(())
    }

    /// RFC 9110 7.6.1. A value with other than ASCII is no list of tokens; hyper reads none of it.
    fn connection(&mut self, value: &[u8]) {
        if !value.is_ascii() {
            return;
        }
        for option in members(value) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.mark(KEEP_ALIVE);
            } else if option.eq_ignore_ascii_case(b"close") {
                self.mark(CLOSE);
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.mark(UPGRADE_OPTION);
            }
        }
    }

    /// RFC 9110 10.1.1.
    fn expect(&mut self, value: &[u8]) {
        if members(value).any(|member| member.eq_ignore_ascii_case(b"100-continue")) {
            self.mark(CONTINUE);
        }
    }

    const fn has(self, fact: u16) -> bool {
        self.seen & fact != 0
    }

    /// Remembers `fact`; returns whether it was known.
    const fn mark(&mut self, fact: u16) -> bool {
        let known = self.has(fact);
        self.seen |= fact;
        known
    }
}

const HOST: u16 = 1;
const LENGTH: u16 = 1 << 1;
const CHUNKED: u16 = 1 << 2;
const CLOSE: u16 = 1 << 3;
const KEEP_ALIVE: u16 = 1 << 4;
const CONTINUE: u16 = 1 << 5;
const UPGRADE: u16 = 1 << 6;
const UPGRADE_OPTION: u16 = 1 << 7;
