//! [`read`]: a request head as nearly all are, looked at in one go.
//!
//! Here whole, with a common method, for a path, on HTTP/1.1. [`HeadScan`](super::head_scan::HeadScan) is what
//! decides: this accepts nothing that the scan refuses and says the same of it, and leaves it everything
//! that is in pieces, unusual or wrong.

use super::fields::{Fields, RequestLine};
use super::head::{BodyFraming, Head, HeadLimits, Method, Version};
use super::head_scan::LONGEST_NAME;
use super::octets::{PATH, QUERY, TOKEN, find_control, find_other, trim};

/// The head that `bytes` begin with, and its length; `None` if a closer look has to be taken.
pub(super) fn read(limits: &HeadLimits, bytes: &[u8]) -> Option<(Head, usize)> {
    let bytes = &bytes[..bytes.len().min(limits.max_header_size)];
    let (method, target_start) = method(bytes)?;
    let target_end = target_start + target_length(&bytes[target_start..])?;
    let target = &bytes[target_start..target_end];
    if target.len() > limits.max_target {
        return None;
    }
    let version = Version::Http11;
    let line = RequestLine { version, target };
    let mut rest = bytes[target_end..].strip_prefix(b" HTTP/1.1\r\n")?;
    let mut fields = Fields::new();
    let mut count = 0;
    while !rest.starts_with(b"\r\n") {
        if count == limits.max_headers {
            return None;
        }
        count += 1;
        rest = field(rest, line, &mut fields)?;
    }
    let (body, asks) = fields.finish(version).ok()?;
    if let (BodyFraming::Length(size), Some(max)) = (body, limits.max_body_size)
        && size > max
    {
        return None;
    }
    let head = Head {
        method,
        version,
        body,
        asks,
    };
    Some((head, bytes.len() - rest.len() + 2))
}

/// The method, and where the target begins.
fn method(bytes: &[u8]) -> Option<(Method, usize)> {
    match bytes {
        [b'G', b'E', b'T', b' ', ..] => Some((Method::Get, 4)),
        [b'P', b'O', b'S', b'T', b' ', ..] => Some((Method::Post, 5)),
        [b'P', b'U', b'T', b' ', ..] => Some((Method::Put, 4)),
        [b'H', b'E', b'A', b'D', b' ', ..] => Some((Method::Head, 5)),
        _ => None,
    }
}

/// Of a path and query, up to what ends them.
fn target_length(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'/') {
        return None;
    }
    let path = find_other(PATH, bytes)?;
    if bytes[path] != b'?' {
        return Some(path);
    }
    Some(path + 1 + find_other(QUERY, &bytes[path + 1..])?)
}

/// Notes the field that `bytes` begin with; what follows its line.
fn field<'a>(bytes: &'a [u8], line: RequestLine<'_>, fields: &mut Fields) -> Option<&'a [u8]> {
    let colon = find_other(TOKEN, bytes)?;
    if bytes[colon] != b':' || colon == 0 || colon > LONGEST_NAME {
        return None;
    }
    let value = &bytes[colon + 1..];
    let (value, rest) = value.split_at(find_control(value)?);
    fields.note(line, &bytes[..colon], trim(value)).ok()?;
    rest.strip_prefix(b"\r\n")
}
