//! The `pools` sections: those that every listener starts from, each listener's own, and the
//! partial ones that the admin API takes.

use wharf_http::{HttpSettings, Protocol};
use wharf_pool::config::{PoolConfig, PoolPatch};

use super::report::{Problem, Problems, Report};
use super::section::Section;
use super::written::Written;

/// The configuration of a pool, whatever it serves.
pub(crate) type PoolSettings = PoolConfig<HttpSettings>;

/// A change of the same.
pub(crate) type PoolChange = PoolPatch<HttpSettings>;

/// What the pools of each protocol start from: `[pools.*]` of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BasePools {
    /// `[pools.http]`.
    pub(crate) http: PoolSettings,
}

impl BasePools {
    /// What a pool of `protocol` starts from.
    pub(crate) fn of(&self, protocol: Protocol) -> &PoolSettings {
        // One section for each protocol that is served; the others are refused before this.
        let _ = protocol;
        &self.http
    }

    /// Reads `[pools.*]`.
    pub(crate) fn read(pools: Option<Section<'_>>, report: &mut Report) -> Self {
        let mut base = Self::default();
        let Some(mut pools) = pools else { return base };
        for protocol in Protocol::ALL {
            if !protocol.is_served() {
                pools.not_yet(protocol.as_str(), report);
            } else if let Some(section) = pools.section(protocol.as_str(), report) {
                base.http = read_pool(section, &base.http, report);
            }
        }
        pools.finish(report);
        base
    }
}

/// Reads one pool's section over what it starts from.
pub(crate) fn read_pool(
    section: Section<'_>,
    base: &PoolSettings,
    report: &mut Report,
) -> PoolSettings {
    let (at, path) = (section.at(), section.path(""));
    let change = read_change(section, report);
    match base.patched(&change) {
        Ok((pool, _)) => pool,
        Err(errors) => {
            let path = path.trim_end_matches('.');
            for error in errors {
                report.push(Problem::of_setting(at, path.to_owned(), &error));
            }
            base.clone()
        }
    }
}

fn read_change(mut section: Section<'_>, report: &mut Report) -> PoolChange {
    let mut change = PoolChange::default();
    section.patch(&PoolChange::keys(), report, |key, value| {
        change.set(key, value)
    });
    section.finish(report);
    change
}

/// The change that a request to a pool describes.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn change_of(written: &Written) -> Result<PoolChange, Problems> {
    let mut report = Report::default();
    let change = Section::open(written, "", &mut report)
        .map(|section| read_change(section, &mut report))
        .unwrap_or_default();
    report.finish(change).map(|(change, _)| change)
}
