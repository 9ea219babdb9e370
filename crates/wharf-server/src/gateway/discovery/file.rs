//! [`EndpointFile`]: a file that is watched, as a source of endpoints.

use std::path::PathBuf;

use tokio::task::spawn_blocking;
use wharf_upstream::{Findings, FoundSet, Source};

use crate::config::read_endpoint_file;
use crate::file_watch::FileWatch;

/// A file with endpoints. What is wrong with it is told, and what was in it before goes on.
pub(super) struct EndpointFile {
    path: PathBuf,
}

impl EndpointFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Source for EndpointFile {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn watch(self, findings: Findings) {
        let mut files = FileWatch::new();
        loop {
            let path = self.path.clone();
            let Ok((read, seen)) = spawn_blocking(move || read_endpoint_file(&path)).await else {
                // The runtime ends.
                return;
            };
            match read {
                Ok(endpoints) => findings.found(FoundSet {
                    endpoints,
                    ..FoundSet::default()
                }),
                Err(bad) => findings.failed(&bad),
            }
            while files.look(&seen).await.is_none() {}
        }
    }
}
