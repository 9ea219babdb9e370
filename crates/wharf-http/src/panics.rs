//! What is said of a handler that panicked.

use std::any::Any;

use wharf_pool::ConnectionHandle;

use crate::connection::HttpConnection;

/// Says in the log that a handler has panicked; its connection goes on.
pub(crate) fn report_panic(handle: &ConnectionHandle<HttpConnection>, panic: &(dyn Any + Send)) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(connection = %handle.id(), panic = message, "a handler panicked");
}
