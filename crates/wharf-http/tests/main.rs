//! What wharf-http promises, tested over real sockets.

mod admission;
mod deadlines;
mod drain;
mod endings;
mod grpc;
mod listeners;
mod requests;
mod support;
mod upgrade;
