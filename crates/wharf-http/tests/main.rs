//! What wharf-http promises, tested over real sockets.

mod admission;
mod app;
mod deadlines;
mod drain;
mod dry_run;
mod endings;
mod grpc;
mod http2;
mod listeners;
mod overload;
mod pressure;
mod requests;
mod support;
mod tls;
mod upgrade;
mod websocket;
