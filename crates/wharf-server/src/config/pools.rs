//! The `pools` sections: those that every listener starts from, each listener's own, and the
//! partial ones that the admin API takes.

use wharf_http::{Http2Settings, Protocol, ProtocolSettings};
use wharf_pool::config::{PoolConfig, PoolPatch, Settings};

use super::report::{Problem, Problems, Report};
use super::section::Section;
use super::written::Written;

/// The configuration of a pool, whatever it serves.
pub(crate) type PoolSettings = PoolConfig<ProtocolSettings>;

/// What the pools of each protocol start from: `[pools.*]` of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BasePools {
    by_protocol: [PoolSettings; Protocol::ALL.len()],
}

impl Default for BasePools {
    fn default() -> Self {
        Self {
            by_protocol: Protocol::ALL.map(Protocol::defaults),
        }
    }
}

impl BasePools {
    /// What a pool of `protocol` starts from.
    pub(crate) fn of(&self, protocol: Protocol) -> &PoolSettings {
        &self.by_protocol[protocol as usize]
    }

    /// How HTTP/2's frames are spoken on listeners that have no pool for it, but one for gRPC.
    pub(crate) fn http2(&self) -> Http2Settings {
        if let ProtocolSettings::Http2(http2) = &self.of(Protocol::Http2).protocol {
            http2.clone()
        } else {
            Http2Settings::default()
        }
    }

    /// Reads `[pools.*]`.
    pub(crate) fn read(pools: Option<Section<'_>>, report: &mut Report) -> Self {
        let mut base = Self::default();
        let Some(mut pools) = pools else { return base };
        for protocol in Protocol::ALL {
            let of_protocol = &mut base.by_protocol[protocol as usize];
            if let Some(section) = pools.section(protocol.as_str(), report) {
                *of_protocol = read_pool(section, of_protocol, report);
            }
        }
        pools.finish(report);
        base
    }
}

/// Reads one pool's section over what it starts from.
pub(crate) fn read_pool<S: Settings>(
    section: Section<'_>,
    base: &PoolConfig<S>,
    report: &mut Report,
) -> PoolConfig<S> {
    let (at, path) = (section.at(), section.path(""));
    let change = read_change(section, base.patch(), report);
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

fn read_change<S: Settings>(
    mut section: Section<'_>,
    mut change: PoolPatch<S>,
    report: &mut Report,
) -> PoolPatch<S> {
    section.patch(&change.keys(), report, |key, value| change.set(key, value));
    section.finish_beside(report, protocols_with);
    change
}

/// The protocols whose pools have a setting of that name, if there are any.
fn protocols_with(key: &str) -> Option<String> {
    let has = |protocol: &Protocol| {
        let keys = protocol.defaults().patch().keys();
        keys.iter().any(|known| known.name == key)
    };
    let names: Vec<_> = Protocol::ALL
        .into_iter()
        .filter(has)
        .map(Protocol::as_str)
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// The change of a pool with this configuration that a request describes.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn change_of<S: Settings>(
    written: &Written,
    config: &PoolConfig<S>,
) -> Result<PoolPatch<S>, Problems> {
    let mut report = Report::default();
    let change = match Section::open(written, "", &mut report) {
        Some(section) => read_change(section, config.patch(), &mut report),
        None => config.patch(),
    };
    report.finish(change).map(|read| read.value)
}
