//! [`Section`]: what one scenario says, as a part of the page.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Options;
use super::way::{Kind, Way};
use crate::compare::figures::{middle, sorted};
use crate::compare::machine::Machine;
use crate::peers::Peer as _;

/// What stands above all sections.
const HEAD: &str = "# Gateways beside each other\n\n\
    Written by `bench gateway`, a section for each scenario; how it is done: [bench/README.md](../../bench/README.md).\n\n\
    All gateways of a section were measured in one run, in turns; each has one thread and one core, the load and the servers behind \
    another. Requests begin when they are to begin, whatever becomes of those before them, and how long one takes counts from then. \
    Figures are medians of the rounds, with the least and the most behind them. nginx tries another server after an error, a timeout \
    or a status of 500 to 504 and leaves one alone for 30 s after five; HAProxy does the same, and checks its servers every 2 s; \
    both keep connections to servers. wharf has one worker, `retry = \"idempotent\"` and four \
    connections ahead to each server of HTTP/1 (`min_idle`), else its defaults.\n";

/// One scenario.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) text: String,
    /// The name of its chart, and the chart.
    pub(super) chart: Option<(&'static str, String)>,
}

impl Section {
    /// Writes it into the page, in the place of the one before.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join("gateway.md");
        let page = fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
        fs::write(&path, replaced(&page, self.title, &self.to_string()))
            .with_context(|| path.display().to_string())?;
        if let Some((name, chart)) = &self.chart {
            fs::write(folder.join(name), chart)?;
        }
        Ok(())
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "## {}\n\n{}", self.title, self.text)?;
        match &self.chart {
            Some((name, _)) => write!(f, "\n![{}]({name})\n", self.title),
            None => Ok(()),
        }
    }
}

/// The page with another section of that title, or with one more.
fn replaced(page: &str, title: &str, section: &str) -> String {
    let mut parts: Vec<String> = page.split("\n## ").map(str::to_owned).collect();
    let head = parts.remove(0);
    let section = section.trim_start_matches("## ").to_owned();
    let is_it = |part: &String| part.lines().next() == Some(title);
    match parts.iter_mut().find(|part| is_it(part)) {
        Some(part) => *part = section,
        None => parts.push(section),
    }
    let mut page = head.trim_end().to_owned();
    for part in parts {
        page.push_str("\n\n## ");
        page.push_str(part.trim_end());
    }
    page + "\n"
}

/// Where, when and by what it was measured.
pub(super) fn made(options: &Options, ways: &[Way], most_foreign: f64) -> Result<String> {
    let machine = Machine::found()?.to_string();
    let machine = machine.lines().next().unwrap_or_default();
    let mut versions = Vec::new();
    for way in ways {
        let program = match way.kind {
            Kind::Wharf | Kind::WharfUnprepared | Kind::WharfLimited => "wharf",
            Kind::NginxInTurn | Kind::NginxLeast => "nginx",
            Kind::HaProxy => "HAProxy",
        };
        let version = way.version();
        let version = version.as_deref().unwrap_or("not installed").to_owned();
        let line = format!("{program} {}", version.trim_start_matches("nginx/"));
        if !versions.contains(&line) {
            versions.push(line);
        }
    }
    let mut command = format!("bench gateway {:?}", options.scenario).to_lowercase();
    if let Some(rounds) = options.rounds {
        write!(command, " --rounds {rounds}")?;
    }
    if let Some(seconds) = options.seconds {
        write!(command, " --seconds {seconds}")?;
    }
    Ok(format!(
        "{machine}\n* {}; `{command}`; others used at most {:.0} % of the gateway's core in a round\n",
        versions.join(", "),
        most_foreign * 100.0
    ))
}

/// The median of all rounds, and from where to where they go.
pub(super) fn spread(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
    let values = sorted(values.into_iter());
    let [least, most] = [values.first(), values.last()].map(|end| *end.unwrap_or(&f64::NAN));
    format!(
        "{:.digits$} ({least:.digits$} to {most:.digits$})",
        middle(&values)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let page = replaced("# Head\n", "One", "## One\n\n1\n");
        let page = replaced(&page, "Two", "## Two\n\n2\n");
        let page = replaced(&page, "One", "## One\n\n3\n");
        assert_eq!(page, "# Head\n\n## One\n\n3\n\n## Two\n\n2\n");
    }
}
