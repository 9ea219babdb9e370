//! `wharf`: parse the command line, do it, exit.

use std::process::ExitCode;

use clap::Parser;
use wharf_server::cli::{Cli, Command};
use wharf_server::commands;

fn main() -> ExitCode {
    match Cli::parse().command {
        None => commands::demo(),
        Some(Command::Serve { config }) => commands::serve(&config),
        Some(Command::Check { file }) => commands::check(&file),
        Some(Command::Config { config }) => commands::config(config.as_deref()),
        Some(Command::Top {
            admin,
            token_file,
            ca,
            insecure,
        }) => commands::top(&admin, token_file, ca, insecure),
        Some(Command::Completions { shell }) => commands::completions(shell),
        Some(Command::Man { command }) => commands::man(command.as_deref()),
    }
}
