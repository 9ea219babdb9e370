//! Classes of bytes, and the few scans that the framer is made of.
//!
//! Start with [`find_control`]: it finds the end of a field line and everything forbidden in it in
//! one pass.

/// `tchar` (RFC 9110 5.6.2): methods and field names.
pub(super) const TOKEN: u8 = 1;
/// What may stand in a request target before its `?`.
///
/// More than RFC 3986 3.3 allows (clients send `|`, `"` and braces as they are), less than hyper:
/// no byte over 0x7f, and no `#`, which hyper would silently cut off together with what follows.
pub(super) const PATH: u8 = 2;
/// What may stand in a request target after its `?`.
pub(super) const QUERY: u8 = 4;
/// `unreserved` and `sub-delims` (RFC 3986 3.2.2) without the comma.
pub(super) const HOST: u8 = 8;

/// Whether `byte` is of `class`.
pub(super) const fn is(class: u8, byte: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// The index of the first byte that is not of `class`.
#[inline]
pub(super) fn find_other(class: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| !is(class, byte))
}

/// The index of the first byte that may not stand in a field value (RFC 9110 5.5): a control
/// character other than HTAB.
pub(super) fn find_control(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let Some(first) = first_control(u64::from_le_bytes(*word)) else {
            continue;
        };
        // HTAB may stand before another, or before none.
        let rest = &word[first..];
        if let Some(at) = rest.iter().position(|&byte| is_control(byte)) {
            return Some(index * 8 + first + at);
        }
    }
    rest.iter()
        .position(|&byte| is_control(byte))
        .map(|at| words.len() * 8 + at)
}

/// `value` without the spaces and tabs around it (RFC 9110 5.6.3, OWS).
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let is_content = |&byte: &u8| byte != b' ' && byte != b'\t';
    match (
        value.iter().position(is_content),
        value.iter().rposition(is_content),
    ) {
        (Some(first), Some(last)) => &value[first..=last],
        _ => &[],
    }
}

/// The members of a comma-separated list, without the space around them (RFC 9110 5.6.1).
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// The index of the first of eight bytes that is under 0x20 or is 0x7f ("Bit Twiddling Hacks": `hasless`,
/// `haszero`; exact for the first, since what they borrow goes upwards).
const fn first_control(word: u64) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    let under_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    let flipped = word ^ (ONES * 0x7f);
    let delete = flipped.wrapping_sub(ONES) & !flipped & HIGH;
    match under_space | delete {
        0 => None,
        found => Some(found.trailing_zeros() as usize / 8),
    }
}

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        let token = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|')
            || byte == b'~';
        // Both as in `http::Uri`, which hyper parses the target with.
        let path = byte.is_ascii_graphic() && !matches!(byte, b'#' | b'<' | b'>' | b'?' | b'`');
        let query = byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>');
        let host = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b'+' | b';' | b'='
            );
        let mut class = if token { TOKEN } else { 0 };
        class |= if path { PATH } else { 0 };
        class |= if query { QUERY } else { 0 };
        class |= if host { HOST } else { 0 };
        classes[byte as usize] = class;
        byte += 1;
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_are_those_of_the_grammars() {
        for byte in 0..=u8::MAX {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is(TOKEN, byte), token, "token {byte:#x}");
            let host = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte);
            assert_eq!(is(HOST, byte), host, "host {byte:#x}");
            let in_path = http::Uri::try_from([b"/", &[byte][..]].concat()).is_ok();
            let path = in_path && byte < 0x80 && !b"#?".contains(&byte);
            assert_eq!(is(PATH, byte), path, "path {byte:#x}");
            let in_query = http::Uri::try_from([b"/?", &[byte][..]].concat()).is_ok();
            assert_eq!(
                is(QUERY, byte),
                in_query && byte < 0x80 && byte != b'#',
                "query {byte:#x}"
            );
        }
    }

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..20 {
                for at in 0..length {
                    let mut bytes = vec![b'\t'; length];
                    bytes[at] = byte;
                    let expected = (byte != b'\t' && byte.is_ascii_control()).then_some(at);
                    assert_eq!(find_control(&bytes), expected);
                    bytes.fill(0xff);
                    bytes[at] = byte;
                    assert_eq!(find_control(&bytes), expected);
                }
            }
        }
    }

    #[test]
    fn trimming_takes_spaces_and_tabs_only_from_the_ends() {
        assert_eq!(trim(b" \ta \t b\t "), b"a \t b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b""), b"");
        assert!(members(b" a ,, b").eq([&b"a"[..], b"", b"b"]));
    }
}
