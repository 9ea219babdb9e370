//! [`Response`]: an HTTP/1 response as it came over the wire.

/// An HTTP/1 response as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Field names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// Whether the response says that it is the last of its connection.
    pub fn is_last(&self) -> bool {
        self.header("connection") == Some("close")
    }

    /// Splits one complete response off the front of `bytes`; `None` if it is not complete.
    pub(crate) fn take(bytes: &mut Vec<u8>, to_head: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
        let mut lines = head.lines();
        let status = lines
            .next()?
            .split(' ')
            .nth(1)?
            .parse()
            .expect("a status is a number");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let used = match response.header("content-length") {
            _ if to_head || status < 200 || status == 204 || status == 304 => end,
            Some(length) => {
                let length: usize = length.parse().expect("a length is a number");
                response.body = bytes.get(end..end + length)?.to_vec();
                end + length
            }
            None if response.header("transfer-encoding") == Some("chunked") => {
                let (body, used) = dechunk(&bytes[end..])?;
                response.body = body;
                end + used
            }
            None => end,
        };
        bytes.drain(..used);
        Some(response)
    }
}

/// The content of a complete chunked body, and how many bytes it takes.
fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk size is text");
        let size = usize::from_str_radix(size, 16).expect("a chunk size is a number");
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        bytes.get(at + size..at + size + 2)?;
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_taken_when_all_of_it_is_there_and_no_more_of_it() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let whole = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        for (text, status) in [(chunked, 200), (whole, 404)] {
            for end in 0..text.len() {
                let mut bytes = text[..end].into();
                assert_eq!(Response::take(&mut bytes, false), None, "{end}");
            }
            let mut bytes = [text, "HTTP/1.1 204"].concat().into_bytes();
            let response = Response::take(&mut bytes, false).unwrap();
            assert_eq!((response.status, response.text()), (status, "abc"));
            assert_eq!(bytes, b"HTTP/1.1 204");
        }
        let mut bytes = whole.into();
        let head = Response::take(&mut bytes, true).unwrap();
        assert_eq!((head.text(), &bytes[..]), ("", &b"abc"[..]));
    }
}
