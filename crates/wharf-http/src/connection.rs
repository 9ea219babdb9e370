//! [`HttpConnection`]: what a pool knows of a connection served here, and the settings that adds.

use wharf_pool::config::{ByteSize, Count};
use wharf_pool::{CloseReason, Command, Connection, Control};

wharf_pool::settings! {
    /// What requests may look like, on every protocol that carries HTTP requests.
    pub struct HttpSettings, HttpPatch {
        /// The largest request head, from its first byte to the empty line; over it 431.
        max_header_size: ByteSize = ByteSize::kib(32), Now;
        /// The most header fields of one request; over it 431.
        max_headers: Count = DEFAULT_MAX_HEADERS, Now;
        /// The longest request target; over it 414.
        max_target: ByteSize = ByteSize::kib(8), Now;
        /// The largest request body; over it 413, before or while it comes.
        max_body_size: Option<ByteSize> = None, Now;
    }
}

/// As hyper has it: more would move its header table to the heap.
const DEFAULT_MAX_HEADERS: Count = match Count::new(100) {
    Some(count) => count,
    // Evaluated by the compiler.
    None => unreachable!(),
};

/// The protocol's side of a connection that this crate serves.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct HttpConnection;

impl Connection for HttpConnection {
    type Settings = HttpSettings;

    /// The record, the task, hyper's two buffers of 8 KiB and its state: 18.1 KB of heap, measured
    /// with a counting allocator.
    const MEMORY: u64 = 19_000;

    fn begin_close(&self, control: &Control, reason: CloseReason) {
        // Asking a connection that has been told to end changes nothing.
        if !matches!(control.command(), Some(Command::Abort(_))) {
            control.finish(reason);
        }
    }
}
