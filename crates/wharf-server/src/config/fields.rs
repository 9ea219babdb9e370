//! `request_headers` and `response_headers` of a route: fields that are set or removed.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::forward::free_name;
use super::report::{Report, cut};
use super::section::Section;
use super::written::{Entry, Shape, Written};

/// Fields that are set or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldChanges {
    /// What they become, whatever they were.
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    /// What is not there any more.
    pub(crate) remove: Vec<HeaderName>,
}

impl FieldChanges {
    /// Makes the changes.
    pub(crate) fn change(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name, value.clone());
        }
    }

    /// Takes out of trailers what the route says of fields: whoever reads trailers as fields would have them
    /// unchanged.
    pub(crate) fn withhold(&self, trailers: &mut HeaderMap) {
        let set = self.set.iter().map(|(name, _)| name);
        for name in self.remove.iter().chain(set) {
            trailers.remove(name);
        }
    }

    /// The changes, where there are any.
    pub(crate) fn heeded(self: &Arc<Self>) -> Option<Arc<Self>> {
        (!self.is_empty()).then(|| Arc::clone(self))
    }

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }
}

/// In the form of the file.
impl fmt::Display for FieldChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| wharf_pool::config::Value::text(text).to_string();
        let set: Vec<_> = self
            .set
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                format!("{} = {}", quoted(name.as_str()), quoted(&value))
            })
            .collect();
        let removed: Vec<_> = self
            .remove
            .iter()
            .map(|name| quoted(name.as_str()))
            .collect();
        let set = if set.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", set.join(", "))
        };
        write!(f, "{{ set = {set}, remove = [{}] }}", removed.join(", "))
    }
}

const REMEDY: &str = "write { set = { \"x-team\" = \"blue\" }, remove = [\"server\"] }";

/// Reads the section of that name, if it is there.
pub(super) fn read_changes(
    route: &mut Section<'_>,
    key: &'static str,
    report: &mut Report,
) -> FieldChanges {
    let mut changes = FieldChanges::default();
    let Some(mut section) = route.section(key, report) else {
        return changes;
    };
    if let Some(entry) = section.take("set") {
        changes.set = read_set(entry, &section.path("set"), report);
    }
    if let Some(entry) = section.take("remove") {
        changes.remove = read_removed(entry, &section.path("remove"), report);
    }
    section.finish(report);
    changes
}

fn read_set(entry: &Entry, path: &str, report: &mut Report) -> Vec<(HeaderName, HeaderValue)> {
    let Shape::Table(entries) = &entry.value.shape else {
        report.problem(entry.value.at, path, "this must be a table", REMEDY);
        return Vec::new();
    };
    let read = entries.iter().filter_map(|entry| {
        let path = format!("{path}.{}", cut(&entry.key));
        let name = name_of(&entry.key, entry.at, &path, report);
        let value = entry
            .value
            .text()
            .and_then(|text| HeaderValue::from_str(text).ok());
        if value.is_none() {
            let found = cut(&entry.value.value().to_string());
            let reason = format!("{found} is not the value of a field");
            report.problem(
                entry.value.at,
                path,
                reason,
                "write a text without line ends",
            );
        }
        Some((name?, value?))
    });
    read.collect()
}

fn read_removed(entry: &Entry, path: &str, report: &mut Report) -> Vec<HeaderName> {
    let Shape::List(items) = &entry.value.shape else {
        report.problem(entry.value.at, path, "this must be a list of names", REMEDY);
        return Vec::new();
    };
    let name = |item: &Written| {
        let Some(text) = item.text() else {
            report.problem(item.at, path, "this must be the name of a field", REMEDY);
            return None;
        };
        name_of(text, item.at, path, report)
    };
    items.iter().filter_map(name).collect()
}

fn name_of(text: &str, at: usize, path: &str, report: &mut Report) -> Option<HeaderName> {
    let name = free_name(text);
    let remedy = if text.eq_ignore_ascii_case("host") {
        "write upstream_host instead"
    } else {
        "leave it out"
    };
    name.map_err(|why| report.problem(at, path, format!("{:?} {why}", cut(text)), remedy))
        .ok()
}
