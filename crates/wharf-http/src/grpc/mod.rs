//! gRPC: what a call may do, how it ends, and how calls go. The calls themselves are answered by any
//! tower service that speaks gRPC, a tonic `Routes` for example; tonic's own server is not needed.
//!
//! [`beside`] puts such a service beside an application, [`only`] serves it alone. Both supervise
//! it ([`Supervised`]): [`Meter`] says where messages begin and end, [`Call`] is one call as all see
//! it, [`Calls`] counts them for each method.
//!
//! **Refuses to know:** what messages mean, and time. Whoever serves the connection reads
//! [`timeout`] and ends a call that is late with [`Call::cut`].

mod beside;
mod call;
mod calls;
mod code;
mod content_type;
mod figures;
#[cfg(feature = "grpc")]
mod health;
mod limits;
mod meter;
mod record;
mod request_body;
mod response_body;
mod service;
mod status;
pub mod timeout;

pub use beside::{Beside, EitherAnswer, EitherBody, beside};
pub use call::Call;
pub use calls::{Calls, OTHER};
pub use code::Code;
pub use content_type::{is_call, is_grpc};
pub use figures::MethodFigures;
#[cfg(feature = "grpc")]
pub use health::{Following, Health, HealthService, Watching};
pub use limits::MessageLimits;
pub use meter::{Meter, TooLong};
pub use request_body::RequestBody;
pub use response_body::ResponseBody;
pub use service::{Answering, Supervised, only};
pub use status::Status;
