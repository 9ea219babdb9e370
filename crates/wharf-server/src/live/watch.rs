//! The watch over the configuration's files: who writes one need not tell.

use std::sync::Arc;

use super::{Live, Source};
use crate::file_watch::FileWatch;

/// Reloads the configuration whenever its files have changed, for ever.
pub(crate) async fn watch(live: Arc<Live>) {
    let mut files = FileWatch::new();
    loop {
        let seen = live.state.lock().await.seen.clone();
        let Some(now) = files.look(&seen).await else {
            continue;
        };
        // A refusal has been told, and what was seen is not looked at again before it changes.
        if live.state.lock().await.seen != now {
            live.reload(Source::File).await.ok();
        }
    }
}
