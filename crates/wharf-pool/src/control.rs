//! [`Control`]: how a connection is told to finish, and how it is woken.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::sync::Notify;

use crate::CloseReason;

/// What a connection has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Finish what is in flight, say goodbye, end.
    Finish(CloseReason),
    /// End now.
    Abort(CloseReason),
}

impl Command {
    /// The reason that came with the command.
    pub const fn reason(self) -> CloseReason {
        match self {
            Self::Finish(reason) | Self::Abort(reason) => reason,
        }
    }
}

/// The ear of a connection: one per connection, written by anybody, read by its driver.
///
/// A command is never taken back, and only an abort replaces a finish. The fast check is one
/// atomic load, so a driver may look as often as it is polled.
#[derive(Debug, Default)]
pub struct Control {
    /// Which kind of command is there: [`NONE`], [`FINISH`] or [`ABORT`].
    told: AtomicU8,
    inner: Mutex<Inner>,
}

const NONE: u8 = 0;
const FINISH: u8 = 1;
const ABORT: u8 = 2;

#[derive(Debug, Default)]
struct Inner {
    command: Option<Command>,
    waker: Option<Waker>,
    /// Those who only want to hear of a command, once there has been one.
    listeners: Option<Arc<Notify>>,
}

impl Control {
    /// Tells the connection to finish. Without effect if it was told so before.
    pub fn finish(&self, reason: CloseReason) {
        self.tell(Command::Finish(reason), FINISH);
    }

    /// Tells the connection to end now. Without effect if it was told so before.
    pub fn abort(&self, reason: CloseReason) {
        self.tell(Command::Abort(reason), ABORT);
    }

    fn tell(&self, command: Command, kind: u8) {
        let (waker, listeners) = {
            let mut inner = self.lock();
            if self.told.load(Ordering::Relaxed) >= kind {
                return;
            }
            inner.command = Some(command);
            // Release: who sees the kind without the lock sees the command behind it.
            self.told.store(kind, Ordering::Release);
            (inner.waker.clone(), inner.listeners.clone())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(listeners) = listeners {
            listeners.notify_waiters();
        }
    }

    /// The command given so far.
    pub fn command(&self) -> Option<Command> {
        if self.told.load(Ordering::Acquire) == NONE {
            None
        } else {
            self.lock().command
        }
    }

    /// Whether the connection has been told to end now.
    pub fn is_aborted(&self) -> bool {
        self.told.load(Ordering::Acquire) == ABORT
    }

    /// Wakes the connection's task, so that it looks at its deadlines and its configuration.
    pub fn wake(&self) {
        let waker = self.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Makes `cx`'s task, which drives the connection, the one that is woken from now on. Call it before looking at
    /// [`Control::command`]; again only when the task has another waker.
    pub fn register(&self, cx: &Context<'_>) {
        let before = {
            let mut inner = self.lock();
            if inner
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                return;
            }
            inner.waker.replace(cx.waker().clone())
        };
        // The last waker of a task ends the task, and whatever that owns: not under the lock.
        drop(before);
    }

    /// Waits until the connection is told to finish or to end. Anybody may, as often as they like.
    ///
    /// # Cancel safety
    ///
    /// A command stays until it is read, however often this is dropped.
    pub async fn told(&self) -> Command {
        self.heard(|| self.command()).await
    }

    /// Waits until the connection is told to end now, or has ended. Anybody may.
    ///
    /// # Cancel safety
    ///
    /// The command stays, however often this is dropped.
    pub async fn aborted(&self) {
        self.heard(|| self.is_aborted().then_some(())).await;
    }

    async fn heard<T>(&self, look: impl Fn() -> Option<T>) -> T {
        let listeners = Arc::clone(self.lock().listeners.get_or_insert_default());
        loop {
            let mut told = pin!(listeners.notified());
            // Listening before looking: a command in between is not missed.
            told.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            told.await;
        }
    }

    /// A panic while this is locked can only come from a waker; the state is whole at any time.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_abort_replaces_a_command() {
        let control = Control::default();
        assert_eq!(control.command(), None);
        control.finish(CloseReason::Idle);
        control.finish(CloseReason::MaxAge);
        assert_eq!(control.command(), Some(Command::Finish(CloseReason::Idle)));
        control.abort(CloseReason::Admin);
        control.finish(CloseReason::MaxAge);
        control.abort(CloseReason::Pressure);
        assert_eq!(control.command(), Some(Command::Abort(CloseReason::Admin)));
        assert!(control.is_aborted());
    }

    #[tokio::test]
    async fn a_waiting_connection_hears_a_command_from_another_task() {
        let control = Arc::new(Control::default());
        let waiting = tokio::task::JoinSet::from_iter([{
            let control = Arc::clone(&control);
            async move { control.told().await }
        }]);
        tokio::task::yield_now().await;
        control.finish(CloseReason::Drained);
        assert_eq!(
            waiting.join_all().await,
            [Command::Finish(CloseReason::Drained)]
        );
    }
}
