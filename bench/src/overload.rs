//! What is left of a server that is asked for twice what it can do?
//!
//! A handler computes for 2 ms on average and never waits; one worker serves it, on a core of its own. Requests come in an open
//! loop, whatever has become of those before, and one of ten is critical. Each peer first says what it can do, then is asked for a
//! tenth of that, a half, twice as much for a long time, and four fifths.

mod beside;
mod load;
mod page;
mod peer;
mod round;
mod seen;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::descriptors::raise_descriptors;
use crate::site::Site;
use peer::Kind;
use round::Round;

/// What is measured, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long wharf with its limit is overloaded, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// How long the others are, if that is less.
    #[arg(long, default_value_t = 60)]
    others: u32,
    /// How long each of the other phases lasts, in seconds.
    #[arg(long, default_value_t = 20)]
    around: u32,
    /// These only.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Option<Vec<Kind>>,
    /// The core of the servers.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// A folder for the page, `overload.md`, and its charts; without it, the page is printed.
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Options {
    /// How long one of them is overloaded, in seconds.
    fn overload(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Limited => self.seconds,
            _ => self.seconds.min(self.others),
        }
    }
}

/// Measures, and writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.server_core != options.client_core,
        "the servers and the load need a core each"
    );
    let times = [options.seconds, options.others, options.around];
    ensure!(times.iter().all(|it| *it > 1), "too short to say anything");
    if let Some(folder) = &options.write {
        // Now, and not after half an hour.
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    raise_descriptors()?;
    let site = Site::new(1)?;
    let mut all = Vec::new();
    for kind in Kind::ALL {
        if options.peers.as_ref().is_none_or(|it| it.contains(&kind)) {
            all.extend(Round::made(options, &site, kind)?);
        }
    }
    let text = page::page(options, &all)?;
    let charts = beside::charts(&all)?;
    let Some(folder) = &options.write else {
        println!("{text}");
        return Ok(());
    };
    for (name, content) in charts.iter().chain([&("overload.md", text)]) {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
