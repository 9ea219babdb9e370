//! `wharf top`: the dashboard on a terminal, from the admin API of any wharf.
//!
//! One task asks every second, another listens to the events; this one only draws what they tell and
//! reads keys, so a server that does not answer makes nothing slow. It only reads.
//!
//! **Start reading** at [`watch`].

mod address;
mod client;
mod feed;
mod figures;
mod screen;
mod sight;
mod trust;
mod view;
mod words;

pub(crate) use address::AdminUrl;
pub(crate) use client::AskError;
pub(crate) use trust::{Trust, TrustError};

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::config::Token;
use client::Client;
use feed::{Told, follow, look};
use sight::Sight;
use view::{Next, View};

/// How often the screen is drawn when nothing happens: ages go on.
const FRAME: Duration = Duration::from_millis(500);

/// How many answers and events may wait to be drawn.
const WAITING: usize = 64;

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TopError {
    /// Standard output or input is no terminal.
    #[error("this needs a terminal; for programs there is the admin API: curl {0}/pools")]
    NoTerminal(AdminUrl),
    /// The token's file.
    #[error("cannot read the token in {}", .0.display())]
    TokenFile(PathBuf, #[source] io::Error),
    /// The token.
    #[error("{}: {reason}", file.display())]
    Token {
        /// Where it was read.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The threads could not be made.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// The server did not answer as one does.
    #[error("no wharf answers at {0}")]
    NoAnswer(AdminUrl, #[source] AskError),
    /// The terminal.
    #[error("the terminal fails")]
    Terminal(#[source] io::Error),
}

/// What is watched, and how it is come by.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The admin API's address.
    pub(crate) admin: AdminUrl,
    /// The file with its token.
    pub(crate) token_file: Option<PathBuf>,
    /// Whose certificates it may have.
    pub(crate) trust: Trust,
}

/// Shows the server until somebody has seen enough.
///
/// # Errors
///
/// [`TopError`]; the terminal is as it was before.
pub(crate) fn top(watched: &Watched) -> Result<(), TopError> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal(watched.admin.clone()));
    }
    let token = watched.token_file.as_ref().map(read_token).transpose()?;
    let client = Client::new(watched.admin.clone(), token, &watched.trust)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(TopError::Runtime)?;
    runtime.block_on(async {
        // Before the screen is taken: what is wrong is said where it can be read afterwards.
        let reached = client.reach().await;
        reached.map_err(|error| TopError::NoAnswer(watched.admin.clone(), error))?;
        let mut terminal = ratatui::try_init().map_err(TopError::Terminal)?;
        let watched = watch(&mut terminal, client).await;
        ratatui::restore();
        watched.map_err(TopError::Terminal)
    })
}

fn read_token(file: &PathBuf) -> Result<Token, TopError> {
    let content = std::fs::read(file).map_err(|error| TopError::TokenFile(file.clone(), error))?;
    Token::new(content).map_err(|reason| TopError::Token {
        file: file.clone(),
        reason,
    })
}

/// Draws what it is told, and does what the keys say.
async fn watch(terminal: &mut DefaultTerminal, client: Client) -> io::Result<()> {
    let (tell, mut told) = mpsc::channel::<Told>(WAITING);
    let (ask, asked) = watch::channel(view::Wanted::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(look(client.again(), asked.clone(), tell.clone()));
    tasks.spawn(follow(client, asked, tell));
    let mut keys = EventStream::new();
    let mut frames = interval(FRAME);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (mut sight, mut view) = (Sight::default(), View::default());
    loop {
        terminal.draw(|frame| screen::draw(frame, &sight, &mut view))?;
        tokio::select! {
            _ = frames.tick() => {}
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
            Some(news) = told.recv() => sight.take(news),
            key = keys.next() => match key {
                Some(Ok(Event::Key(key))) => match view.key(key) {
                    Next::GoOn => {}
                    Next::Ask(wanted) => { ask.send_replace(wanted); }
                    Next::Leave => return Ok(()),
                },
                // A resize: the next frame has the new size.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
        // Everything that has come by now is one frame.
        while let Ok(news) = told.try_recv() {
            sight.take(news);
        }
    }
}
