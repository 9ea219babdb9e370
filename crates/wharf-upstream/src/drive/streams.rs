//! [`Streams`]: the tasks that HTTP/2's codec makes for one connection, which end together.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where the codec runs the tasks of one connection: the one that reads and writes, and those of its
/// requests. They belong to the upstream, and can be cut.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    tasks: TaskTracker,
    cut: CancellationToken,
}

impl Streams {
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
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
        drop(self.tasks.spawn(task));
    }
}
