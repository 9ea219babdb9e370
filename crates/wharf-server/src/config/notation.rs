//! What is wrong with a file as TOML, told by its key where there is one.

use toml::de::Error;

use super::report::{Problem, cut};

/// Whether the fault is a key that is there twice: what else the file says is clear.
pub(super) fn is_repetition(error: &Error) -> bool {
    error.message() == "duplicate key"
}

/// The fault as a problem of `source`.
pub(super) fn problem(source: &str, error: &Error) -> Problem {
    let span = error.span().unwrap_or_default();
    let at = span.start;
    if is_repetition(error) {
        let key = source.get(span).unwrap_or_default();
        return Problem {
            at,
            key: cut(key),
            reason: "this key is there twice".to_owned(),
            remedy: "leave one of the two out".to_owned(),
        };
    }
    Problem {
        at,
        key: cut(key_of_line(source, at).unwrap_or_default()),
        reason: format!("this is not TOML: {}", cut(error.message())),
        remedy: "see https://toml.io for the notation".to_owned(),
    }
}

/// What stands before the `=` in the line of the byte at `offset`, if it can be a key.
fn key_of_line(source: &str, offset: usize) -> Option<&str> {
    let offset = source.floor_char_boundary(offset);
    let start = source[..offset]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = source[start..].lines().next()?;
    let key = line.split_once('=')?.0.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.\"".contains(c);
    (!key.is_empty() && key.chars().all(allowed)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_line_is_what_stands_before_its_first_equals_sign() {
        let source = "a = 1\n  max_age = \"5\nnothing here\n[[b]] = 2\n";
        let at = |text| key_of_line(source, source.find(text).unwrap());
        assert_eq!(at("\"5"), Some("max_age"));
        assert_eq!(at("here"), None);
        assert_eq!(at("[[b"), None);
        assert_eq!(key_of_line(source, source.len()), None);
    }
}
