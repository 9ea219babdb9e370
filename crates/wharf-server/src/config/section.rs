//! [`Section`]: one table of a configuration, read key by key until nothing is left over.

use wharf_pool::config::{Applies, Key, Patch, SetError, Settings, Value};

use super::report::{Problem, Report, cut};
use super::written::{Entry, Shape, Written};

/// A table that is being read. What nobody asked for is an unknown key.
#[derive(Debug)]
pub(crate) struct Section<'w> {
    path: String,
    at: usize,
    left: Vec<&'w Entry>,
    known: Vec<&'static str>,
}

impl<'w> Section<'w> {
    /// The section that `written` is; a problem if it is not a table.
    pub(crate) fn open(
        written: &'w Written,
        path: impl Into<String>,
        report: &mut Report,
    ) -> Option<Self> {
        let path = path.into();
        match &written.shape {
            Shape::Table(entries) => Some(Self {
                path,
                at: written.at,
                left: entries.iter().collect(),
                known: Vec::new(),
            }),
            Shape::Scalar(_) | Shape::List(_) => {
                let section = unnumbered(&path);
                let remedy = format!("write a section, [{section}], and its keys below it");
                report.problem(written.at, path, "this must be a table", remedy);
                None
            }
        }
    }

    /// The offset of the section.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The path of a key in this section.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Takes the entry of that name, which is known from now on.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'w Entry> {
        self.known.push(key);
        self.take_unlisted(key)
    }

    /// The entry of that name, if nobody has taken it.
    pub(crate) fn peek(&self, key: &str) -> Option<&'w Entry> {
        self.left.iter().find(|entry| entry.key == key).copied()
    }

    fn take_unlisted(&mut self, key: &str) -> Option<&'w Entry> {
        let at = self.left.iter().position(|entry| entry.key == key)?;
        Some(self.left.remove(at))
    }

    /// Takes the table of that name.
    pub(crate) fn section(&mut self, key: &'static str, report: &mut Report) -> Option<Self> {
        let entry = self.take(key)?;
        Self::open(&entry.value, self.path(key), report)
    }

    /// Takes the tables of that name, `[[key]]` in TOML.
    pub(crate) fn sections(&mut self, key: &'static str, report: &mut Report) -> Vec<Self> {
        let Some(entry) = self.take(key) else {
            return Vec::new();
        };
        let Shape::List(items) = &entry.value.shape else {
            let remedy = format!("write [[{key}]], once for each {key}");
            report.problem(
                entry.at,
                self.path(key),
                "this must be a list of tables",
                remedy,
            );
            return Vec::new();
        };
        let numbered = items.iter().enumerate();
        numbered
            .filter_map(|(n, item)| Self::open(item, format!("{}[{n}]", self.path(key)), report))
            .collect()
    }

    /// Takes every setting of a group and returns `base` changed by them.
    pub(crate) fn settings<S: Settings>(&mut self, base: &S, report: &mut Report) -> S {
        let mut patch = base.patch();
        self.patch(patch.keys(), report, |key, value| patch.set(key, value));
        let mut settings = base.clone();
        settings.apply(&patch);
        for error in settings.problems() {
            report.push(Problem::of_setting(self.at, self.path.clone(), &error));
        }
        settings
    }

    /// Takes every one of `keys` that is there and hands it to `set`.
    pub(crate) fn patch(
        &mut self,
        keys: &[Key],
        report: &mut Report,
        mut set: impl FnMut(&str, &Value) -> Result<(), SetError>,
    ) {
        for key in keys {
            let Some(entry) = self.take(key.name) else {
                continue;
            };
            let path = self.path(key.name);
            match set(key.name, &entry.value.value()) {
                Ok(()) => report.accept(path, entry.at),
                Err(error) => {
                    report.push(Problem::of_setting(entry.value.at, path, &error));
                }
            }
        }
    }

    /// Complains about everything that nobody asked for.
    pub(crate) fn finish(self, report: &mut Report) {
        self.finish_beside(report, |_| None);
    }

    /// The same where `elsewhere` knows in what other sections a key would have its place.
    pub(crate) fn finish_beside(
        self,
        report: &mut Report,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) {
        for entry in &self.left {
            let path = self.path(&cut(&entry.key));
            if report.is_full() {
                report.problem(entry.at, path, "unknown key", "leave it out");
                continue;
            }
            let remedy = match nearest(&entry.key, &self.known) {
                Some(nearest) => format!("did you mean {nearest:?}?"),
                None => format!("the keys here are {}", self.known.join(", ")),
            };
            let reason = match elsewhere(&entry.key) {
                Some(sections) => format!("unknown key here: it is one of {sections}"),
                None => "unknown key".to_owned(),
            };
            report.problem(entry.at, path, reason, remedy);
        }
    }
}

/// A path as a section's head has it: without the numbers of lists.
fn unnumbered(path: &str) -> String {
    let mut parts = path.split(['[', ']']);
    let first = parts.next().unwrap_or_default().to_owned();
    parts
        .skip(1)
        .step_by(2)
        .fold(first, |whole, part| whole + part)
}

/// The one of `names` that `written` was perhaps meant to be.
pub(crate) fn nearest(written: &str, names: &[&'static str]) -> Option<&'static str> {
    let keys: Vec<_> = names
        .iter()
        .map(|name| Key::new(name, Applies::Now, ""))
        .collect();
    let SetError::UnknownKey { nearest, .. } = SetError::unknown(written).among(&keys) else {
        return None;
    };
    nearest
}
