//! HTTP/1.1: what its connections are made of. The driver is in `crate::drive`.
//!
//! From the socket to the application: [`Wire`] (the bytes, the slot), [`meter`] (where requests
//! begin and end, and what they may look like), hyper, [`Watched`] (the application, watched).
//! [`exchange`] says what is waited for, and when that is over.

mod answering;
mod body;
mod chunked;
mod exchange;
mod fate;
mod fields;
mod handling;
mod head;
mod head_scan;
mod host;
mod lent;
mod meter;
mod octets;
#[cfg(test)]
mod oracle;
mod plain_head;
mod service;
mod settings;
mod violation;
mod wire;

pub(crate) use fate::Fate;
pub(crate) use lent::Lent;
pub(crate) use service::Watched;
pub(crate) use settings::Settings;
pub(crate) use violation::Violation;
pub(crate) use wire::Wire;

/// The wire as hyper, the service and the driver share it.
pub(crate) type SharedWire<T> = crate::shared_wire::SharedWire<Wire<T>>;
