//! [`Observer`]: hears of every request, beside whoever else does.

use std::fmt;
use std::sync::Arc;

use http::header::HeaderMap;
use wharf_http::{RequestObserver, RequestRecord, Tag};

use super::followed::Followed;
use super::{Shared, span};
use crate::config::Signal;

/// Hears of every request, beside whoever else does.
pub(super) struct Observer {
    shared: &'static Shared,
    beside: Arc<dyn RequestObserver>,
}

impl Observer {
    /// One of the process's, beside that other.
    pub(super) fn new(shared: &'static Shared, beside: Arc<dyn RequestObserver>) -> Self {
        Self { shared, beside }
    }
}

impl RequestObserver for Observer {
    fn observe(&self, record: &RequestRecord<'_>) {
        if self.beside.is_listening() {
            self.beside.observe(record);
        }
        let followed = record.tag.and_then(Tag::get::<Followed>);
        let config = self.shared.config.load();
        let (Some(followed), Some(config)) = (followed, config.as_deref()) else {
            return;
        };
        if config.settings.signals.0.contains(&Signal::Metrics) {
            self.shared.durations.record(record, &followed);
        }
        if let Some(place) = followed.recorded() {
            let most = config.settings.queue.get() as usize;
            let span = span::of_request(record, &followed, place);
            self.shared.spans.put(span, most);
        }
    }

    fn is_listening(&self) -> bool {
        self.shared.config.load().is_some() || self.beside.is_listening()
    }

    fn tag(&self, fields: &HeaderMap) -> Option<Tag> {
        let config = self.shared.config.load();
        let config = config.as_deref()?;
        let followed = Followed::begin(self.shared, config, fields);
        Some(Tag::new(Arc::new(followed)))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
