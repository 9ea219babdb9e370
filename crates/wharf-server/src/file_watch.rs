//! [`FileWatch`]: who notices that files have changed.
//!
//! The folders are watched and not the files, so that a file that is replaced, or a link that is
//! turned, is noticed. What tells is only a hint: the content decides. Where nothing tells (network
//! file systems, a kernel out of watches), a look every other second does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::config::Sources;

/// How often the files are looked at without a hint.
const LOOK: Duration = Duration::from_secs(2);

/// How long the files must be the same before they are believed: who does not replace a file
/// writes it piece by piece.
const SETTLED: Duration = Duration::from_millis(100);

/// How often a file may change while it is waited for; then it is read as it is.
const PATIENCE: usize = 20;

/// Notices that files have changed.
pub(crate) struct FileWatch {
    hint: Arc<Notify>,
    folders: Folders,
}

impl FileWatch {
    /// A watch over nothing so far.
    pub(crate) fn new() -> Self {
        let hint = Arc::new(Notify::new());
        let folders = Folders::new(&hint);
        Self { hint, folders }
    }

    /// Waits for a while, and looks whether the files are otherwise than they were `seen`; if so, as what, once
    /// they have settled.
    ///
    /// # Cancel safety
    ///
    /// A change that it was dropped over is found by the next look.
    pub(crate) async fn look(&mut self, seen: &Sources) -> Option<Sources> {
        self.folders.follow(seen.folders());
        // The time is up, or something has happened in one of the folders: both are a reason to look.
        timeout(LOOK, self.hint.notified()).await.ok();
        let mut now = read(seen).await?;
        if now == *seen {
            // In a busy folder there is always a hint.
            sleep(SETTLED).await;
            return None;
        }
        for _ in 0..PATIENCE {
            sleep(SETTLED).await;
            match read(&now).await {
                Some(again) if again != now => now = again,
                _ => break,
            }
        }
        Some(now)
    }
}

/// The files as they are now; `None` if the look came to nothing.
async fn read(files: &Sources) -> Option<Sources> {
    let files = files.clone();
    spawn_blocking(move || files.now()).await.ok()
}

/// The folders that are watched, as far as the system can.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
}

impl Folders {
    fn new(hint: &Arc<Notify>) -> Self {
        let hint = Arc::clone(hint);
        let tell = move |event: notify::Result<notify::Event>| {
            // Our own reading is no reason to read.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                hint.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell)
            .inspect_err(|error| tracing::debug!(%error, "files are looked at by the clock"));
        Self {
            watcher: watcher.ok(),
            watched: Vec::new(),
        }
    }

    /// Watches these folders and no others.
    fn follow(&mut self, folders: Vec<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if self.watched == folders {
            return;
        }
        for left in self.watched.iter().filter(|it| !folders.contains(it)) {
            watcher.unwatch(left).ok();
        }
        for new in folders.iter().filter(|it| !self.watched.contains(it)) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %new.display(), %error, "looked at by the clock");
            }
        }
        self.watched = folders;
    }
}
