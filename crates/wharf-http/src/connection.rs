//! [`HttpConnection`]: what a pool knows of a connection that is served here.

use std::sync::OnceLock;

use wharf_pool::{CloseReason, Command, Connection, Control};

use crate::settings::ProtocolSettings;
use crate::tls::TlsInfo;

/// The protocol's side of a connection that this crate serves.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct HttpConnection {
    tls: OnceLock<Box<TlsInfo>>,
}

impl HttpConnection {
    /// What its TLS handshake has agreed on; `None` without one, and before its end.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.get().map(AsRef::as_ref)
    }

    pub(crate) fn secured(&self, info: TlsInfo) {
        self.tls.get_or_init(|| Box::new(info));
    }
}

impl Connection for HttpConnection {
    type Settings = ProtocolSettings;

    /// Measured with a counting allocator: the record, the task and the codec's buffers. HTTP/1: two
    /// of 8 KiB and its state; HTTP/2: 16 KiB to write, 8 KiB to read, 4 KiB of header table;
    /// WebSocket: what is resident with axum's codec and a buffer of 4 KiB.
    fn memory(settings: &ProtocolSettings) -> u64 {
        match settings {
            ProtocolSettings::Http(_) => 19_000,
            ProtocolSettings::Https(_) => 28_000,
            ProtocolSettings::WebSocket(_) => 9_000,
            ProtocolSettings::Http2(_) | ProtocolSettings::Grpc(_) => 36_000,
        }
    }

    fn begin_close(&self, control: &Control, reason: CloseReason) {
        // Asking a connection that has been told to end changes nothing.
        if !matches!(control.command(), Some(Command::Abort(_))) {
            control.finish(reason);
        }
    }
}
