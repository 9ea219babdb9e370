//! What is wrong with a configuration, all of it at once, and what was accepted.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use wharf_pool::config::SetError;

use super::source::{LARGEST, Sources, read_bounded};

/// How many problems are told; a file with more is not a configuration at all.
const TOLD: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The offset of the first byte that it is about.
    pub(crate) at: usize,
    /// The path of the key, such as `listener[0].pools.http.max_age`; empty for a whole file.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) reason: String,
    /// What to do instead.
    pub(crate) remedy: String,
}

impl Problem {
    /// What a setting has against a value.
    pub(crate) fn of_setting(at: usize, key: String, error: &SetError) -> Self {
        let (reason, remedy) = match error {
            SetError::UnknownKey { nearest, .. } => (
                "unknown key".to_owned(),
                nearest.map_or_else(
                    || "leave it out".to_owned(),
                    |nearest| format!("did you mean {nearest:?}?"),
                ),
            ),
            SetError::BadValue { bad, .. } => (
                format!("{} is not a value for it", cut(bad.found())),
                bad.remedy().to_owned(),
            ),
            other => (
                other.to_string(),
                "change one of the settings that it names".to_owned(),
            ),
        };
        let remedy = if remedy.starts_with("did you") {
            remedy
        } else {
            format!("write {remedy}")
        };
        Self {
            at,
            key,
            reason,
            remedy,
        }
    }
}

/// Everything that is found while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    untold: usize,
    origins: Origins,
    sources: Sources,
}

impl Report {
    /// Notes a problem.
    pub(crate) fn problem(
        &mut self,
        at: usize,
        key: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (key, reason, remedy) = (key.into(), reason.into(), remedy.into());
        self.push(Problem {
            at,
            key,
            reason,
            remedy,
        });
    }

    /// Notes a problem.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.untold += 1;
        } else {
            self.problems.push(problem);
        }
    }

    /// Whether further problems are only counted, so that nobody works on their wording.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= TOLD
    }

    /// Notes that a setting was read.
    pub(crate) fn accept(&mut self, key: String, at: usize) {
        self.origins.0.insert(key, at);
    }

    /// The place at which a setting was read, if it was.
    pub(crate) fn accepted(&self, key: &str) -> Option<usize> {
        self.origins.of(key)
    }

    /// Reads a secret that the configuration names: a file of `folder`, or with `env:NAME` a variable
    /// of the environment.
    ///
    /// # Errors
    ///
    /// The reason, for people.
    pub(crate) fn read_secret(&mut self, folder: &Path, name: &str) -> Result<Vec<u8>, String> {
        let Some(variable) = name.strip_prefix("env:") else {
            return self.read(&folder.join(name));
        };
        let content = std::env::var_os(variable).map(OsString::into_vec);
        content.ok_or_else(|| "the environment has no such variable".to_owned())
    }

    /// Reads a file that the configuration names.
    ///
    /// # Errors
    ///
    /// The reason, for people.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let content = read_bounded(path, LARGEST);
        self.sources.note(path, content.as_deref().ok());
        content.map_err(|unread| unread.to_string())
    }

    /// `value` with where its settings come from, if there is no problem.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<Read<T>, Problems> {
        self.problems.sort_by_key(|problem| problem.at);
        if self.problems.is_empty() {
            Ok(Read {
                value,
                origins: self.origins,
                sources: self.sources,
            })
        } else {
            Err(Problems {
                list: self.problems,
                untold: self.untold,
                sources: self.sources,
            })
        }
    }
}

/// What was read without a problem.
#[derive(Debug)]
pub(crate) struct Read<T> {
    /// What it means.
    pub(crate) value: T,
    /// Where its settings were written.
    pub(crate) origins: Origins,
    /// The files that it names and that were read.
    pub(crate) sources: Sources,
}

/// Where settings were written; a setting that is not here has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origins(BTreeMap<String, usize>);

impl Origins {
    /// The place at which the setting of that path was written: an offset until
    /// [`Origins::into_lines`], then a line.
    pub(crate) fn of(&self, key: &str) -> Option<usize> {
        self.0.get(key).copied()
    }

    /// The same with lines, from 1, in place of offsets.
    pub(crate) fn into_lines(self, source: &str) -> Self {
        let ends: Vec<_> = source.match_indices('\n').map(|(at, _)| at).collect();
        let line = |at: usize| ends.partition_point(|end| *end < at) + 1;
        Self(
            self.0
                .into_iter()
                .map(|(key, at)| (key, line(at)))
                .collect(),
        )
    }
}

/// Why a configuration is refused: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problems {
    /// In the order of the file.
    pub(crate) list: Vec<Problem>,
    /// How many more there are.
    pub(crate) untold: usize,
    /// The files that were read meanwhile.
    pub(crate) sources: Sources,
}

impl From<Vec<Problem>> for Problems {
    fn from(list: Vec<Problem>) -> Self {
        Self {
            list,
            untold: 0,
            sources: Sources::default(),
        }
    }
}

impl Problems {
    /// One problem with a file as a whole.
    pub(crate) fn whole(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (reason, remedy) = (reason.into(), remedy.into());
        Self::from(vec![Problem {
            at: 0,
            key: String::new(),
            reason,
            remedy,
        }])
    }

    /// The problems as lines, each beginning with `file:line:column`.
    pub(crate) fn render<'a>(&'a self, file: &'a str, source: &'a str) -> Rendered<'a> {
        Rendered {
            problems: self,
            file,
            source,
        }
    }
}

/// Problems as text for people.
#[derive(Debug)]
pub(crate) struct Rendered<'a> {
    problems: &'a Problems,
    file: &'a str,
    source: &'a str,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems.list {
            let Problem {
                at,
                key,
                reason,
                remedy,
            } = problem;
            let (line, column) = place(self.source, *at);
            write!(f, "{}:{line}:{column}: ", self.file)?;
            if !key.is_empty() {
                write!(f, "{key}: ")?;
            }
            writeln!(f, "{reason}\n    {remedy}")?;
        }
        match self.problems.untold {
            0 => Ok(()),
            more => writeln!(f, "{}: and {more} more", self.file),
        }
    }
}

/// Line and column, both from 1, of the byte at `offset`; columns count characters.
pub(crate) fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// What was written, short enough for a line.
pub(crate) fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    let clean: String = text.chars().take(LONGEST).flat_map(escape).collect();
    if text.chars().nth(LONGEST).is_some() {
        format!("{clean}…")
    } else {
        clean
    }
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let escaped = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}
