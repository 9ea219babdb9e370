//! [`Tool`]: who makes the load, and what it says: `wrk` for HTTP/1, `h2load` for HTTP/2, and this program for what
//! neither does.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::load::Load;
use crate::work::{UPLOAD, Work};

/// Who makes the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Wrk,
    H2load,
    /// This program.
    Own,
}

/// What it says of a run.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    /// Answered as they should be.
    pub(crate) requests: u64,
    /// Answered otherwise, or not at all.
    pub(crate) failed: u64,
    pub(crate) seconds: f64,
    /// What so many of a hundred answers did not take longer than, in microseconds: of 50, and of 99.
    pub(crate) latency: Option<[f64; 2]>,
    /// Bytes of all bodies that came, if it counts them.
    pub(crate) bytes: Option<u64>,
}

impl Tool {
    /// Those that have to be installed.
    pub(super) const OTHERS: [Self; 2] = [Self::Wrk, Self::H2load];

    /// Who makes this load.
    pub(super) fn of(load: &Load) -> Self {
        match load.work {
            Work::Echo(_) | Work::Handshake { .. } => Self::Own,
            _ if load.protocol.is_http2() => Self::H2load,
            _ => Self::Wrk,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
            Self::Own => "bench",
        }
    }

    /// Its arguments for a load of so many seconds.
    pub(super) fn arguments(self, load: &Load, seconds: u32, at: &str) -> Vec<String> {
        let scheme = if load.protocol.is_secured() {
            "https"
        } else {
            "http"
        };
        let connections = load.connections;
        let mut arguments = match self {
            Self::Wrk => format!("-t1 -c{connections} -d{seconds}s --latency"),
            Self::H2load => format!("-t1 -c{connections} -m{} -D{seconds}", load.streams),
            Self::Own => format!("--loads {} --seconds {seconds}", load.name),
        }
        .split(' ')
        .map(str::to_owned)
        .collect::<Vec<_>>();
        if load.fresh {
            arguments.extend(["-H".to_owned(), "Connection: close".to_owned()]);
        }
        if load.work == Work::Upload {
            arguments.extend(["-s", UPLOAD.0].map(str::to_owned));
        }
        if load.work.is_grpc() {
            let calls = [
                "-d",
                load.work.file(),
                "-H",
                "content-type: application/grpc",
            ];
            arguments.extend(calls.map(str::to_owned));
            arguments.extend(["-H", "te: trailers"].map(str::to_owned));
        }
        arguments.push(format!("{scheme}://{at}{}", load.work.target()));
        arguments
    }

    /// How it is started.
    pub(super) fn command(self, load: &Load, seconds: u32, at: SocketAddr) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.arguments(load, seconds, &at.to_string()));
        command
    }

    /// Reads what it has written.
    pub(crate) fn read(self, text: &str) -> Result<Said> {
        let said = match self {
            Self::Wrk => wrk(text),
            Self::H2load => h2load(text),
            Self::Own => None,
        };
        said.with_context(|| format!("{} says {text}", self.name()))
    }
}

fn wrk(text: &str) -> Option<Said> {
    let (requests, rest) = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))?;
    let percentile = |percent| {
        let found = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(percent));
        micros(found?.trim())
    };
    let wrong = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses: "))
        .map_or(Some(0), |count| count.parse().ok())?;
    let lost = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Socket errors: "))
        .map_or(0, sum);
    Some(Said {
        requests: requests.parse::<u64>().ok()?.checked_sub(wrong)?,
        failed: wrong + lost,
        seconds: micros(rest.split(',').next()?)? / 1e6,
        latency: Some([percentile("50%")?, percentile("99%")?]),
        bytes: None,
    })
}

fn h2load(text: &str) -> Option<Said> {
    let finished = text
        .lines()
        .find_map(|line| line.strip_prefix("finished in "))?;
    let requests = text
        .lines()
        .find_map(|line| line.strip_prefix("requests: "))?;
    let traffic = text
        .lines()
        .find_map(|line| line.strip_prefix("traffic: "))?;
    let count = |what| {
        let found = requests
            .split(", ")
            .find_map(|part| part.strip_suffix(what));
        found?.trim().parse::<u64>().ok()
    };
    Some(Said {
        requests: count("succeeded")?,
        failed: count("failed")? + count("errored")? + count("timeout")?,
        seconds: micros(finished.split(',').next()?)? / 1e6,
        latency: None,
        bytes: traffic.rsplit_once('(')?.1.split(')').next()?.parse().ok(),
    })
}

/// The sum of all numbers in it.
fn sum(text: &str) -> u64 {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

/// Microseconds, from `396.00us`, `1.97ms`, `1.10s` or `1.00m`.
fn micros(text: &str) -> Option<f64> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_read() {
        let text = "    Latency     1.98ms    1.65ms   8.34ms   77.01%\n     50%    1.45ms\n     75%    2.60ms\n     \
                    99%  682.00us\n  16049 requests in 1.10s, 1.65MB read\n  Socket errors: connect 0, read 2, write 0, \
                    timeout 3\n  Non-2xx or 3xx responses: 49\n";
        let said = Tool::Wrk.read(text).unwrap();
        assert_eq!((said.requests, said.failed), (16_000, 54));
        assert!((said.seconds - 1.1).abs() < 1e-9, "{said:?}");
        assert_eq!(said.latency, Some([1450.0, 682.0]));
    }

    #[test]
    fn what_h2load_says_is_read() {
        let text = "finished in 1.00s, 134900.00 req/s, 4.89MB/s\nrequests: 134900 total, 135412 started, 134900 done, \
                    134890 succeeded, 10 failed, 2 errored, 1 timeout\nstatus codes: 134890 2xx, 0 3xx, 10 4xx, 0 5xx\n\
                    traffic: 4.89MB (5127416) total, 1.29MB (1349000) headers (space savings 93.51%), 1.67MB (1753570) data\n";
        let said = Tool::H2load.read(text).unwrap();
        assert_eq!((said.requests, said.failed), (134_890, 13));
        assert!((said.seconds - 1.0).abs() < 1e-9, "{said:?}");
        assert_eq!(said.bytes, Some(1_753_570));
    }

    #[test]
    fn what_is_not_a_result_is_none() {
        for tool in Tool::OTHERS {
            assert!(tool.read("unable to connect").is_err());
        }
    }
}
