//! How short of memory the process is.

use std::fmt;

use super::number;
use super::page::Page;
use crate::pressure::Seen;

impl Page<'_> {
    /// What was seen of the memory; while nobody looks there is none of it.
    pub(super) fn pressure(&mut self, seen: Seen) -> fmt::Result {
        let Some(reading) = seen.reading else {
            return Ok(());
        };
        let help = "What is used of the memory that may be";
        self.single("wharf_memory_used_ratio", help, reading.ratio())?;
        let help = "Memory that is used, where the end is nearest";
        self.single("wharf_memory_used_bytes", help, number(reading.used))?;
        let help = "Memory that may be used there";
        self.single("wharf_memory_limit_bytes", help, number(reading.limit))?;
        let help = "How far the server goes to keep some: 0 calm, 1 easing, 2 squeezing, 3 parting, 4 refusing, 5 cutting";
        self.single("wharf_pressure_rung", help, f64::from(seen.rung as u8))
    }
}
