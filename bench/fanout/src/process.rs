//! [`Process`]: what the kernel says about the server.

use std::fs::read_to_string;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::param::{clock_ticks_per_second, page_size};

/// A process, by its number.
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn of(id: u32) -> Self {
        Self(id)
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        let text = read_to_string(format!("/proc/{}/statm", self.0))?;
        let pages: u64 = text.split(' ').nth(1).context("no such field")?.parse()?;
        Ok(pages * page_size() as u64)
    }

    /// Processor time that it has used.
    pub(crate) fn spent(&self) -> Result<Duration> {
        let text = read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name may have spaces; what follows it has none.
        let (_, rest) = text.rsplit_once(')').context("no name")?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = |field: usize| -> Result<u64> {
            Ok(fields.get(field).context("no such field")?.parse()?)
        };
        let per_second = clock_ticks_per_second();
        Ok(Duration::from_millis(
            (ticks(11)? + ticks(12)?) * 1000 / per_second,
        ))
    }
}
