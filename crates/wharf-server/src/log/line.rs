//! Lines: one JSON object each, or text for people; nothing in them can be anything else.

use std::fmt::{self, Display, Write};

/// How much of one value is written, in bytes; the rest is replaced by an ellipsis.
pub(crate) const LONGEST_VALUE: usize = 1024;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One JSON object.
    Json,
    /// Text.
    Plain,
    /// Text with colours, for a terminal.
    Colour,
}

impl Style {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::Plain, Self::Colour];
}

/// A JSON object that is being written.
#[derive(Debug)]
pub(crate) struct JsonLine {
    text: String,
}

impl JsonLine {
    /// An object with the time of day.
    pub(crate) fn begin() -> Self {
        let mut text = String::with_capacity(384);
        // Writing to a string does not fail, here and below.
        let _ = write!(text, "{{\"time\":\"{}\"", crate::wall_clock::now());
        Self { text }
    }

    /// Adds a text, escaped and cut.
    pub(crate) fn text(&mut self, key: &str, value: impl Display) {
        let _ = write!(self.text, ",\"{key}\":\"");
        let _ = write!(Escaped::into(&mut self.text), "{value}");
        self.text.push('"');
    }

    /// Adds what JSON writes without quotation marks: a number, `true`, `null`.
    pub(crate) fn bare(&mut self, key: &str, value: impl Display) {
        let _ = write!(self.text, ",\"{key}\":{value}");
    }

    /// The line.
    pub(crate) fn end(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }
}

/// Writes into a string what is safe within JSON's quotation marks and on a terminal.
#[derive(Debug)]
pub(crate) struct Escaped<'a> {
    out: &'a mut String,
    left: usize,
}

impl<'a> Escaped<'a> {
    /// Writes at most [`LONGEST_VALUE`] bytes into `out`.
    pub(crate) fn into(out: &'a mut String) -> Self {
        Self {
            out,
            left: LONGEST_VALUE,
        }
    }
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.left == 0 {
            return Ok(());
        }
        let end = text.floor_char_boundary(self.left);
        for c in text[..end].chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                c if is_unsafe(c) => write!(self.out, "\\u{:04x}", u32::from(c))?,
                c => self.out.push(c),
            }
        }
        if end < text.len() {
            self.out.push('…');
            self.left = 0;
        } else {
            self.left -= end;
        }
        Ok(())
    }
}

/// Control characters, line separators, and marks that reorder what stands around them.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        write!(Escaped::into(&mut out), "{text}").unwrap();
        out
    }

    #[test]
    fn nothing_that_a_peer_sent_ends_a_line_or_steers_a_terminal() {
        assert_eq!(escaped("a\"b\\c\n\x1b[31m"), r#"a\"b\\c\u000a\u001b[31m"#);
        assert_eq!(escaped("\u{9b}31m\u{202e}ä"), r"\u009b31m\u202eä");
    }

    #[test]
    fn a_value_is_cut_at_a_kibibyte_however_it_comes() {
        let long = "ä".repeat(3000);
        let cut = escaped(&long);
        assert_eq!(cut.len(), LONGEST_VALUE + '…'.len_utf8());
        let mut out = String::new();
        let mut writer = Escaped::into(&mut out);
        long.chars().for_each(|c| write!(writer, "{c}").unwrap());
        assert!(out.len() <= LONGEST_VALUE + '…'.len_utf8());
    }
}
