//! What a process holds in memory, as the kernel has it.

use std::fs;

use anyhow::{Context as _, Result};

/// The resident bytes of a process: `Rss` of `/proc/PID/smaps_rollup`, which walks the page tables;
/// `VmRSS` is kept for each thread and summed up now and then.
pub(crate) fn resident(pid: u32) -> Result<i64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:")?.strip_suffix("kB"))
        .with_context(|| format!("no Rss in {path}"))?;
    Ok(kib.trim().parse::<i64>()? << 10)
}
