//! What each command does, from its arguments to the exit code.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::config::{AdminAddress, Config, effective, load};
use crate::log::Logs;
use crate::serve::{ServeError, Serving};
use crate::top::{self, Trust, Watched};

/// How many ports after the wanted one the demo tries.
const PORTS: u16 = 100;

/// `wharf`: the demo on loopback, on the next free port where one is taken.
pub fn demo() -> ExitCode {
    let mut config = match Config::demo() {
        Ok(config) => config,
        Err(problems) => return refused(&problems.render("demo.toml", "")),
    };
    let logs = Logs::open(&config.log);
    let mut attempt = 0;
    loop {
        take_free_ports(&mut config);
        match Serving::start(config.clone(), None, logs.clone()) {
            Ok(serving) => {
                print(&greeting(&serving));
                serving.until_drained();
                return ExitCode::SUCCESS;
            }
            // Somebody took a port between the look and the bind.
            Err(ServeError::Admin { .. } | ServeError::Listener { .. }) if attempt < 5 => {
                attempt += 1;
            }
            Err(error) => return failed(&error, &logs),
        }
    }
}

/// `wharf serve --config FILE`.
pub fn serve(file: &Path) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(refused) => return self::refused(&refused),
    };
    let logs = Logs::open(&config.log);
    match Serving::start(config, Some(file), logs.clone()) {
        Ok(serving) => {
            serving.until_drained();
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error, &logs),
    }
}

/// `wharf check FILE`.
pub fn check(file: &Path) -> ExitCode {
    match load(file) {
        Ok(_) => {
            print(&format!("{}: ok\n", file.display()));
            ExitCode::SUCCESS
        }
        Err(refused) => self::refused(&refused),
    }
}

/// `wharf config [--config FILE]`.
pub fn config(file: Option<&Path>) -> ExitCode {
    let name = file.map(|file| file.display().to_string());
    let config = match file {
        Some(file) => load(file).map_err(|refused| refused.to_string()),
        None => Config::demo().map_err(|problems| problems.render("demo.toml", "").to_string()),
    };
    match config {
        Ok(config) => {
            print(&effective(&config, name.as_deref()));
            ExitCode::SUCCESS
        }
        Err(refused) => self::refused(&refused),
    }
}

/// `wharf top [--admin URL] [--token-file FILE]`.
pub fn top(
    admin: &str,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    insecure: bool,
) -> ExitCode {
    let trust = match ca {
        Some(file) => Trust::File(file),
        None if insecure => Trust::Anybody,
        None => Trust::System,
    };
    let watched = admin.parse().map(|admin| Watched {
        admin,
        token_file,
        trust,
    });
    match watched {
        Ok(watched) => match top::top(&watched) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refused(&format!("wharf: {}\n", chain(&error))),
        },
        Err(invalid) => refused(&format!("wharf: --admin {admin:?}: {invalid}\n")),
    }
}

/// `wharf completions SHELL`.
pub fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wharf", &mut script);
    print(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// `wharf man [COMMAND]`.
pub fn man(command: Option<&str>) -> ExitCode {
    let mut all = Cli::command();
    // Each command then knows itself as a part of wharf.
    all.build();
    let wanted = match command {
        Some(name) => all.find_subcommand(name).cloned(),
        None => Some(all),
    };
    let Some(wanted) = wanted else {
        return refused(&"wharf: there is no such command; wharf --help lists them\n");
    };
    let title = wanted.get_display_name().unwrap_or("wharf").to_owned();
    let mut page = Vec::new();
    // A vector takes everything.
    Man::new(wanted).title(title).render(&mut page).ok();
    print(&String::from_utf8_lossy(&page));
    ExitCode::SUCCESS
}

fn take_free_ports(config: &mut Config) {
    for listener in &mut config.listeners {
        listener.address = next_free(listener.address);
    }
    if let AdminAddress::Tcp(address) = &mut config.admin.settings.address {
        *address = next_free(*address);
    }
}

/// The wanted address, or the same with the next port that is free.
fn next_free(wanted: SocketAddr) -> SocketAddr {
    let ports = wanted.port()..=wanted.port().saturating_add(PORTS);
    let mut addresses = ports.map(|port| SocketAddr::new(wanted.ip(), port));
    addresses
        .find(|address| TcpListener::bind(address).is_ok())
        .unwrap_or(wanted)
}

fn greeting(serving: &Serving) -> String {
    let mut page = format!("wharf {} demo\n\n", env!("CARGO_PKG_VERSION"));
    let mut first = None;
    for (name, address) in serving.addresses() {
        let scheme = if serving.is_secured(&name) {
            "https"
        } else {
            "http"
        };
        let _ = writeln!(page, "  {name:<8}{scheme}://{address}/");
        first.get_or_insert(address);
    }
    if let Some(admin) = &serving.admin {
        let _ = writeln!(page, "  {:<8}{admin}/", "admin");
    }
    if let Some(address) = first {
        let _ = writeln!(
            page,
            "\n  try: curl http://{address}/hello\n  Ctrl-C drains\n"
        );
    }
    page
}

/// Prints to standard output; if nobody reads it, that is nobody's loss.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}

fn refused(why: &dyn Display) -> ExitCode {
    write!(io::stderr(), "{why}").ok();
    ExitCode::FAILURE
}

fn failed(error: &ServeError, logs: &Logs) -> ExitCode {
    logs.flush();
    writeln!(io::stderr(), "wharf: {}", chain(error)).ok();
    ExitCode::FAILURE
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(chain, ": {error}");
        cause = error.source();
    }
    chain
}
