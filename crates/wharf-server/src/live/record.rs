//! [`Record`]: what happened to the configuration, to be shown.

use std::collections::VecDeque;
use std::sync::Arc;

use wharf_pool::config::Applies;

use crate::config::{Changed, Config, Refused, differences};
use crate::wall_clock;

/// How many changes are kept.
const KEPT: usize = 20;

/// How many settings of one change are kept.
const KEPT_SETTINGS: usize = 200;

/// Where a change came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The start of the process.
    Start,
    /// The file changed.
    File,
    /// SIGHUP.
    Sighup,
    /// `POST /reload`.
    ApiReload,
    /// `PATCH` of a pool.
    ApiPatch,
}

impl Source {
    /// The word in the history.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Sighup => "sighup",
            Self::ApiReload => "api_reload",
            Self::ApiPatch => "api_patch",
        }
    }
}

/// A setting that changed, as it is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// What changed.
    pub(crate) changed: Changed,
    /// Whether a value that the admin API had set is gone by it.
    pub(crate) undoes_patch: bool,
}

impl Told {
    /// `changes`, with a mark at those that undo one of `patched`.
    pub(crate) fn all(changes: Vec<Changed>, patched: &[Changed]) -> Vec<Self> {
        let told = |changed: Changed| Self {
            undoes_patch: patched.iter().any(|patch| patch.path == changed.path),
            changed,
        };
        changes.into_iter().map(told).collect()
    }
}

/// How often a reload ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Settings changed.
    pub(crate) applied: u64,
    /// The file said what was in force.
    pub(crate) unchanged: u64,
    /// The old configuration went on.
    pub(crate) rejected: u64,
}

/// A change that was made.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Counts from 1, the start; never used again.
    pub(crate) id: u64,
    /// The time of day.
    pub(crate) at: String,
    /// Where it came from.
    pub(crate) source: Source,
    /// What changed.
    pub(crate) changes: Vec<Told>,
    /// How many settings more.
    pub(crate) untold: usize,
}

/// The last file that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Rejected {
    /// The time of day.
    pub(crate) at: String,
    /// Who wanted it.
    pub(crate) source: Source,
    /// Line by line, as `wharf check` says it.
    pub(crate) problems: String,
}

/// What happened to the configuration.
#[derive(Debug)]
pub(crate) struct Record {
    written: Arc<Config>,
    in_force: Arc<Config>,
    history: VecDeque<Change>,
    next: u64,
    rejected: Option<Rejected>,
    totals: Totals,
}

impl Record {
    /// The start of the process with `config`.
    pub(super) fn new(config: Config) -> Self {
        let config = Arc::new(config);
        let mut record = Self {
            written: Arc::clone(&config),
            in_force: config,
            history: VecDeque::new(),
            next: 1,
            rejected: None,
            totals: Totals::default(),
        };
        record.push(Source::Start, &[]);
        record
    }

    /// The configuration in force.
    pub(crate) fn in_force(&self) -> Arc<Config> {
        Arc::clone(&self.in_force)
    }

    /// What is in force otherwise than the file has it, `old` being the file's value: what `PATCH`
    /// has changed, and what waits for a restart.
    pub(crate) fn deviations(&self) -> Vec<Changed> {
        differences(&self.written, &self.in_force)
    }

    /// What `PATCH` has changed.
    pub(super) fn patches(&self) -> Vec<Changed> {
        let mut all = self.deviations();
        all.retain(|changed| changed.effect != Applies::Restart);
        all
    }

    /// The last changes, the newest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = &Change> {
        self.history.iter().rev()
    }

    /// The last file that was refused, if no better one has come since.
    pub(crate) fn last_rejected(&self) -> Option<&Rejected> {
        self.rejected.as_ref()
    }

    /// How often a reload ended in which way.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Notes a reload; returns in a word what came of it.
    pub(super) fn applied(
        &mut self,
        source: Source,
        changes: &[Told],
        (written, in_force): (Config, Config),
    ) -> &'static str {
        self.written = Arc::new(written);
        self.in_force = Arc::new(in_force);
        self.rejected = None;
        let effective = |told: &Told| told.changed.effect != Applies::Restart;
        if changes.iter().any(effective) {
            self.totals.applied += 1;
            self.push(source, changes);
            "applied"
        } else {
            self.totals.unchanged += 1;
            "unchanged"
        }
    }

    pub(super) fn patched(&mut self, changes: &[Told], in_force: Config) {
        self.in_force = Arc::new(in_force);
        if !changes.is_empty() {
            self.push(Source::ApiPatch, changes);
        }
    }

    pub(super) fn rejected(&mut self, source: Source, refused: &Refused) {
        self.totals.rejected += 1;
        self.rejected = Some(Rejected {
            at: wall_clock::now().to_string(),
            source,
            problems: refused.to_string(),
        });
    }

    fn push(&mut self, source: Source, changes: &[Told]) {
        if self.history.len() >= KEPT {
            self.history.pop_front();
        }
        self.history.push_back(Change {
            id: self.next,
            at: wall_clock::now().to_string(),
            source,
            changes: changes.iter().take(KEPT_SETTINGS).cloned().collect(),
            untold: changes.len().saturating_sub(KEPT_SETTINGS),
        });
        self.next += 1;
    }
}
