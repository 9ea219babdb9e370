//! The gateway: requests that routes send to upstreams, and their answers.
//!
//! **Responsible for:** what of a head goes on and what ends here (`request_head`, `response_head`, and
//! the rules in `fields`, `origin`, `path`), bodies in both directions (`request_body`, `response_body`),
//! sessions (`session`), and the answers where there is none (`reason`).
//!
//! **Refuses to know:** which endpoint is asked, how it is reached, and when it is asked again: that is
//! `wharf-upstream`.
//!
//! **Start reading** at `forwarding.rs`.

mod calls;
mod came;
mod discovery;
mod fields;
mod forwarding;
mod frames;
mod hops;
mod origin;
mod path;
mod pump;
mod reason;
mod relay;
mod request_body;
mod request_head;
mod response_body;
mod response_head;
mod session;
mod upstreams;

pub(crate) use calls::Calls;
pub(crate) use fields::is_free;
pub(crate) use forwarding::Forwarding;
pub(crate) use origin::Scheme;
pub(crate) use path::Rewrite;
pub(crate) use reason::Telling;
pub(crate) use upstreams::{Directory, Unstarted, Upstreams};
