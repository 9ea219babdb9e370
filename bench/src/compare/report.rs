//! [`Report`]: what came out, as a page.

use std::fmt::Write as _;

use anyhow::Result;

use super::Options;
use super::chart;
use super::figures::Figures;
use super::load::Load;
use super::machine::Machine;
use super::round::QUIET;
use super::tool::Tool;

/// What came out, as a page in Markdown, and as a chart.
pub(super) struct Report<'a> {
    options: &'a Options,
    parts: Vec<(Load, Vec<Figures>)>,
}

/// Who does less than this of what its core could has not been loaded enough: what it serves is what the
/// load asks for.
const LOADED: f64 = 0.90;

impl<'a> Report<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        let parts = Vec::new();
        Self { options, parts }
    }

    pub(super) fn add(&mut self, load: Load, figures: Vec<Figures>) {
        self.parts.push((load, figures));
    }

    /// The chart: what a request costs.
    pub(super) fn chart(&self) -> Result<String> {
        let titles: Vec<_> = self.parts.iter().map(|(load, _)| load.title()).collect();
        let groups: Vec<_> = self
            .parts
            .iter()
            .zip(&titles)
            .map(|((_, figures), title)| {
                let bars = figures.iter().map(|it| (it.name, it.cost)).collect();
                (title.as_str(), bars)
            })
            .collect();
        Ok(chart::draw(&groups)?)
    }

    /// The page, which says with whom it was measured: each name, and its version if it is there.
    pub(super) fn markdown(&self, present: &[(&str, Option<String>)]) -> Result<String> {
        let mut page = self.head();
        for (load, figures) in &self.parts {
            let table = table(figures, load.work.measure())?;
            write!(page, "\n## {}\n\n{table}", load.title())?;
        }
        writeln!(page, "\n## How far to trust it\n\n{}", self.noise()?)?;
        writeln!(page, "\n## With what\n")?;
        write!(page, "{}", Machine::found()?)?;
        for (name, version) in present {
            let version = version.as_deref().unwrap_or("not installed, left out");
            writeln!(page, "* {name}: {version}")?;
        }
        writeln!(page, "\n{}", self.commands()?)?;
        Ok(page)
    }

    fn head(&self) -> String {
        let Options {
            rounds,
            seconds,
            page,
            ..
        } = self.options;
        format!(
            "# A request beside other servers\n\n\
             Written by `bench compare`; how it is done: [bench/README.md](../../bench/README.md).\n\n\
             Each server has one core and one thread, the load another core. What a *request* is, the load says: `GET /hello` with \
             13 bytes, a call or a message of gRPC, a message of WebSocket there and back, a connection with one request. All give the \
             same answer, which is checked before and after each round (by `bench` each time). {rounds} rounds of {seconds} s, each after 1 s of warming up; in \
             each, all servers take turns. Numbers are medians of the rounds.\n\n\
             * *CPU* is the server's processor time for each request, user and kernel, all threads, in microseconds; *least* \
             that of the best round, and *spread* how far the rounds are apart, as a part of the median.\n\
             * *Core* is how much of its core the server used. Below {loaded:.0} % the load was the limit, or others had the \
             core: then the requests a second say little.\n\
             * p50 and p99 are what wrk, or `bench` where it makes the load, says of its answers, with every connection asking \
             again at once.\n\
             * `floor` understands nothing and answers canned bytes: what the kernel, tokio and TLS cost. nginx and HAProxy answer \
             from their configuration, Node.js with its own servers, wharf with its demo and every limit that it has by default; \
             none writes an access log. hyper and axum have wharf's socket options, hyper its windows and TLS as well.\n\n\
             ![Processor time of a request]({page}.svg)\n",
            loaded = LOADED * 100.0
        )
    }

    fn noise(&self) -> Result<String> {
        let all = || {
            self.parts
                .iter()
                .flat_map(|(load, figures)| figures.iter().map(move |figure| (load, figure)))
        };
        let foreign = all().map(|(_, it)| it.foreign).fold(0.0, f64::max);
        let (noisy, failed) = (
            all().filter(|(_, it)| it.is_noisy()).count(),
            all().map(|(_, it)| it.failed).sum::<u64>(),
        );
        let disturbed = all().filter(|(_, it)| it.foreign > QUIET).count();
        let (rows, again) = (all().count(), self.options.again);
        let mut text = format!(
            "A round during which others used more than {:.0} % of the server's core was measured again (`--again {again}`), and \
             the least disturbed counts. Others still used more in a round of {disturbed} of {rows} rows, and {:.0} % at most. \
             {noisy} rows have rounds that are more than {:.0} % apart; they are marked with `~`, and their medians say little.",
            QUIET * 100.0,
            foreign * 100.0,
            Figures::NOISE * 100.0,
        );
        if failed == 0 {
            text.push_str(" No request failed.");
        } else {
            text.push_str(" Requests that failed:");
            for (load, it) in all().filter(|(_, it)| it.failed > 0) {
                write!(
                    text,
                    " {} of {} under {};",
                    it.failed,
                    it.name,
                    load.title()
                )?;
            }
        }
        Ok(text)
    }

    fn commands(&self) -> Result<String> {
        let mut text = "```text\n".to_owned();
        for (load, _) in &self.parts {
            let tool = Tool::of(load);
            if tool == Tool::Own {
                continue;
            }
            let arguments: Vec<_> = tool
                .arguments(load, self.options.seconds, "127.0.0.1:PORT")
                .into_iter()
                .map(|word| {
                    if word.contains(' ') {
                        format!("'{word}'")
                    } else {
                        word
                    }
                })
                .collect();
            writeln!(text, "{} {}", tool.name(), arguments.join(" "))?;
        }
        Ok(text + "```")
    }
}

fn table(figures: &[Figures], measured_by: &str) -> Result<String> {
    let measure = figures.iter().find(|it| it.name == measured_by);
    let mut text = format!(
        "| | CPU, µs | least | of {measured_by} | spread | requests/s | core | p50, ms | p99, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    for it in figures {
        let of = measure.map_or_else(String::new, |measure| {
            format!("{:.2}", it.cost / measure.cost)
        });
        let noisy = if it.is_noisy() { "~ " } else { "" };
        let [half, most] = it.latency.map_or_else(Default::default, |both| {
            both.map(|micros| format!("{:.2}", micros / 1e3))
        });
        writeln!(
            text,
            "| {} | {:.2} | {:.2} | {of} | {noisy}{:.1} % | {} | {:.0} % | {half} | {most} |",
            it.name,
            it.cost,
            it.least,
            it.spread * 100.0,
            thousands(it.rate),
            it.share * 100.0,
        )?;
    }
    Ok(text)
}

/// With a comma between thousands, rounded to hundreds.
fn thousands(rate: f64) -> String {
    let hundreds = format!("{:.0}", rate / 100.0);
    match hundreds.len().checked_sub(1) {
        Some(at @ 1..) => format!("{},{}00", &hundreds[..at], &hundreds[at..]),
        _ => format!("{hundreds}00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_their_comma() {
        let read = [160.0, 4_249.0, 77_777.0, 134_890.0].map(thousands);
        assert_eq!(read, ["200", "4,200", "77,800", "134,900"]);
    }
}
