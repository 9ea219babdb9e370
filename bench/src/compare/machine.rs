//! [`Machine`]: where it was measured, when, and who made the load.

use std::fmt;
use std::fs::read_to_string;

use anyhow::Result;

use super::tool::Tool;
use crate::peers::version;

/// Where and when it was measured.
pub(crate) struct Machine {
    day: String,
    processor: String,
    cores: usize,
    kernel: String,
    system: String,
}

impl Machine {
    pub(crate) fn found() -> Result<Self> {
        Ok(Self {
            day: version::line("date", &["-u", "+%F"]).unwrap_or_default(),
            processor: field("/proc/cpuinfo", "model name", ":"),
            cores: std::thread::available_parallelism()?.get(),
            kernel: read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            system: field("/etc/os-release", "PRETTY_NAME", "="),
        })
    }
}

/// What a file says under a name, if it does.
fn field(path: &str, name: &str, separator: &str) -> String {
    let text = read_to_string(path).unwrap_or_default();
    let found = text
        .lines()
        .filter_map(|line| line.split_once(separator))
        .find(|(key, _)| key.trim() == name);
    let value = found.map_or("unknown", |(_, value)| value);
    value.trim().trim_matches('"').to_owned()
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            processor,
            cores,
            kernel,
            system,
        } = self;
        writeln!(
            f,
            "* {day}; {processor}, {cores} cores; Linux {kernel}, {system}; all on loopback"
        )?;
        for tool in Tool::OTHERS {
            let version = version::told(tool.name(), "--version");
            writeln!(
                f,
                "* {}: {}",
                tool.name(),
                version.as_deref().unwrap_or("not installed")
            )?;
        }
        Ok(())
    }
}
