//! What a process used of the processor, and what a core did, as the kernel has it; and on which core what
//! is started runs.

use std::fs::read_to_string;

use anyhow::{Context as _, Result};
use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Seconds of processor time that a process has used, all of its threads, those that have ended included.
pub(crate) fn spent(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = read_to_string(&path).with_context(|| path.clone())?;
    // The name may have spaces; what follows it has none.
    let (_, rest) = text.rsplit_once(')').context("no name")?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    ticks(fields.get(11..=12).context("too few fields")?)
}

/// Seconds that a core has not been idle.
pub(crate) fn busy(core: usize) -> Result<f64> {
    let text = read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let fields: Vec<_> = line.context("no such core")?.split_whitespace().collect();
    // User, nice, system; then idle and waiting for disks; interrupts, soft interrupts, stolen.
    Ok(ticks(fields.get(..3).context("too few fields")?)?
        + ticks(fields.get(5..8).context("too few fields")?)?)
}

/// Does something on this core: a process that it starts stays there, with all of its threads.
pub(crate) fn on<T>(core: usize, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("core {core}"))?;
    let done = act();
    sched_setaffinity(None, &before)?;
    done
}

#[expect(clippy::cast_precision_loss, reason = "years would be needed")]
fn ticks(fields: &[&str]) -> Result<f64> {
    let mut sum = 0;
    for field in fields {
        sum += field.parse::<u64>()?;
    }
    Ok(sum as f64 / clock_ticks_per_second() as f64)
}
