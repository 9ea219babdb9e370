//! How long does it take until everybody in a room has heard what one says, and what does that cost?
//!
//! One thread holds all sessions and reads them as the kernel says that there is something; what it
//! measures begins with the write of the speaker's message and ends with the read of each member's. So
//! it includes its own work, which is the same beside every server: about a microsecond for each member.

mod members;
mod process;
mod rounds;
mod session;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use members::Members;
use process::Process;

/// Loopback addresses from which sessions come, in turn: one has ports for 28,000.
const SOURCES: [[u8; 4]; 2] = [[127, 0, 0, 1], [127, 0, 0, 2]];

/// What is asked for on the command line.
struct Asked {
    address: SocketAddr,
    path: String,
    /// The server's process.
    process: Process,
    sessions: usize,
    rounds: usize,
    /// From one message to the next.
    every: Duration,
}

const USAGE: &str = "fanout ADDRESS PATH PID SESSIONS ROUNDS EVERY_MS";

fn main() -> Result<()> {
    let asked = ask().context(USAGE)?;
    let idle = asked.process.resident()?;
    let mut members = Members::connect(asked.address, &asked.path, asked.sessions)?;
    members.settle()?;
    let each = asked.process.resident()?.saturating_sub(idle) / asked.sessions.max(1) as u64;
    let spent = asked.process.spent()?;
    let told = rounds::run(&mut members, asked.rounds, asked.every)?;
    let busy = asked.process.spent()?.saturating_sub(spent) / u32::try_from(asked.rounds)?;
    println!(
        "{told}, server {:.1} ms of CPU a message, {each} bytes a session",
        millis(busy)
    );
    Ok(())
}

fn ask() -> Result<Asked> {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().context("a word is missing");
    Ok(Asked {
        address: next()?.parse()?,
        path: next()?,
        process: Process::of(next()?.parse()?),
        sessions: next()?.parse()?,
        rounds: next()?.parse()?,
        every: Duration::from_millis(next()?.parse()?),
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
