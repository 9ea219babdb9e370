//! Which version a peer is: what it says itself, or what the lock file says.

use std::process::{Command, Stdio};

/// The first word with a point that a program writes when it is asked for its version; `None` if it is not
/// installed.
pub(crate) fn told(program: &str, argument: &str) -> Option<String> {
    let line = line(program, &[argument])?;
    let version = line.split_whitespace().find(|word| word.contains('.'))?;
    Some(version.to_owned())
}

/// The first line that a program writes, to either output, however it ends.
pub(crate) fn line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Some(text.lines().next()?.trim().to_owned())
}

/// The version of a crate that the peers in Rust are built with.
pub(crate) fn locked(name: &str) -> Option<String> {
    let head = format!("name = \"{name}\"");
    let lock = include_str!("../../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != head).skip(1);
    let version = lines.next()?.strip_prefix("version = ")?;
    Some(version.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_knows_hyper() {
        assert!(locked("hyper").is_some_and(|version| version.starts_with("1.")));
        assert_eq!(locked("nobody"), None);
    }
}
