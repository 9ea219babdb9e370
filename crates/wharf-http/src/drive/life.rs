//! [`Life`]: a connection's life, part after part.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A connection's life: the future that its task runs.
///
/// It is in one of its parts, which is on the heap. The task is there from the first byte to the last,
/// and would always be as large as the largest of them; so it is as small as a task can be.
pub(crate) struct Life(Part);

/// A part of a connection's life. It ends with the next, if one follows.
pub(super) struct Part(Pin<Box<dyn Future<Output = Option<Part>> + Send>>);

impl Life {
    /// A life that begins with this.
    pub(super) fn new(first: Part) -> Self {
        Self(first)
    }
}

impl Part {
    /// What `part` does.
    pub(super) fn new(part: impl Future<Output = Option<Self>> + Send + 'static) -> Self {
        Self(Box::pin(part))
    }
}

impl Future for Life {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(next) = ready!(self.0.0.as_mut().poll(cx)) {
            self.0 = next;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn a_life_is_all_of_its_parts_in_their_order() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = |word| {
            let told = Arc::clone(&told);
            move || told.lock().map(|mut told| told.push(word)).is_ok()
        };
        let (first, last) = (tell("first"), tell("last"));
        Life::new(Part::new(async move {
            first();
            tokio::task::yield_now().await;
            Some(Part::new(async move {
                last();
                None
            }))
        }))
        .await;
        let told = Arc::into_inner(told).expect("the parts are gone");
        assert_eq!(told.into_inner().expect("no panic"), ["first", "last"]);
    }

    #[test]
    fn a_life_is_no_larger_than_a_task_has_room_for_beside_its_own_words() {
        assert_eq!(size_of::<Life>(), size_of::<[usize; 2]>());
    }
}
