//! The demo's gRPC services: `wharf.demo.v1.Echo`, health, and reflection over both.

#[cfg(test)]
mod tests;

use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};
use wharf_http::grpc::Health;

use super::echo::Echo;
use super::proto::echo_server::EchoServer;

/// What reflection shows of the demo's own service.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo.bin"));

/// What a compressed message may become: as long as one that is not compressed.
const LONGEST_MESSAGE: usize = 4 << 20;

/// The methods of the routes, each `package.Service/Method`.
pub(crate) const METHODS: [&str; 8] = [
    "wharf.demo.v1.Echo/Unary",
    "wharf.demo.v1.Echo/ServerStream",
    "wharf.demo.v1.Echo/ClientStream",
    "wharf.demo.v1.Echo/Bidi",
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The demo's gRPC services. `health` says of itself and of the demo that they serve.
///
/// # Errors
///
/// If the descriptors that were built in are none.
pub(crate) fn routes(health: &Health) -> Result<Routes, Error> {
    health.set_serving("wharf.demo.v1.Echo");
    // Replies are not compressed: what is sent is then as long as what was asked for.
    let echo = EchoServer::new(Echo)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(LONGEST_MESSAGE);
    let reflection = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(echo)
        .add_service(health.service())
        .add_service(reflection().build_v1()?)
        // For the clients that know no other.
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.prepare())
}
