//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// A server that limits, times, watches and ends every connection well.
///
/// Without a command it serves a demo on loopback addresses: try it, then write a file.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do; without it, the demo.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(clippy::exhaustive_enums, reason = "only main.rs matches on it")]
pub enum Command {
    /// Serve what a configuration file says.
    ///
    /// SIGTERM and SIGINT drain: new requests are turned away, those in flight are finished. A
    /// second signal ends the process at once.
    Serve {
        /// The configuration file; wharf.example.toml has every setting.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration file and say everything that is wrong with it.
    ///
    /// Exits with 0 if the file can be served, else with 1 and the place of each fault.
    Check {
        /// The configuration file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the settings in force as TOML, each with where it comes from.
    Config {
        /// The configuration file; without it, the demo's settings.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Watch a running wharf: pools, connections and events, live.
    Top {
        /// Its admin address, such as `https://ops.internal:9900` or `unix:/run/wharf.sock`.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9900")]
        admin: String,
        /// The file with the admin token, where the address needs one.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// With https: believe the certificates in this file, and not those that the system does.
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// With https: believe any certificate, as of `tls = { self_signed = true }`.
        #[arg(long, conflicts_with = "ca")]
        insecure: bool,
    },
    /// Print the completions of a shell, for where it looks for them.
    ///
    /// Bash: `wharf completions bash > /usr/share/bash-completion/completions/wharf`.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print a manual page: `wharf man | man -l -`.
    Man {
        /// The page of this command; without it, that of wharf.
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

const EXAMPLES: &str = "\
Examples:
  wharf                               the demo: http://127.0.0.1:8080/, admin on 127.0.0.1:9900
  wharf check wharf.toml              is the file right?
  wharf serve --config wharf.toml     serve it
  wharf config --config wharf.toml    what is in force, and why
  wharf top                           watch it

While it runs (admin address; open http://127.0.0.1:9900/ for the dashboard):
  curl http://127.0.0.1:9900/health
  curl http://127.0.0.1:9900/pools
  curl -X PATCH -H 'x-wharf-admin: 1' -d '{\"max_connections\": 100}' \\
       http://127.0.0.1:9900/pools/web/http";
