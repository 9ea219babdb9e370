//! [`Streams`]: the tasks that HTTP/2's codec makes for one connection, which end together.

use std::sync::Arc;

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Where the codec runs the tasks of one connection: the one that reads and writes, and those of its
/// requests. They belong to the upstream, and can be cut.
#[derive(Clone)]
pub(crate) struct Streams {
    context: Arc<Context>,
    cut: CancellationToken,
}

impl Streams {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            cut: CancellationToken::new(),
        }
    }

    /// Ends them all.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let cut = self.cut.clone();
        let task = async move {
            tokio::select! {
                () = cut.cancelled() => {}
                _ = task => {}
            }
        };
        self.context.spawn(task);
    }
}
