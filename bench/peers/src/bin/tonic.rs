//! tonic's own server, with the gRPC service of wharf's demo as far as the benchmark calls it.

use std::pin::Pin;

use anyhow::Result;
use clap::Parser;
use echo::echo_server::{Echo, EchoServer};
use echo::{EchoReply, EchoRequest};
use futures_util::{Stream, stream};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use wharf_bench_peers::{Arguments, listen};

mod echo {
    //! `wharf.demo.v1`, as the build made it.
    #![allow(
        clippy::allow_attributes_without_reason,
        clippy::pedantic,
        missing_docs,
        unreachable_pub,
        reason = "generated"
    )]
    tonic::include_proto!("wharf.demo.v1");
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(async {
        let listener = listen(arguments.address)?;
        // The settings that wharf's connections have by default.
        Server::builder()
            .initial_stream_window_size(64 << 10)
            .initial_connection_window_size(5 << 20)
            .max_concurrent_streams(100)
            .http2_max_header_list_size(16 << 10)
            .add_service(EchoServer::new(Service))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await?;
        Ok(())
    })
}

struct Service;

type Replies = Pin<Box<dyn Stream<Item = Result<EchoReply, Status>> + Send>>;

#[tonic::async_trait]
impl Echo for Service {
    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        let message = request.into_inner().message;
        Ok(Response::new(EchoReply { message }))
    }

    type ServerStreamStream = Replies;

    async fn server_stream(
        &self,
        request: Request<EchoRequest>,
    ) -> Result<Response<Replies>, Status> {
        let EchoRequest {
            message, repeat, ..
        } = request.into_inner();
        let replies = (0..repeat.max(1)).map(move |_| {
            let message = message.clone();
            Ok(EchoReply { message })
        });
        Ok(Response::new(Box::pin(stream::iter(replies))))
    }

    async fn client_stream(
        &self,
        _: Request<Streaming<EchoRequest>>,
    ) -> Result<Response<EchoReply>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    type BidiStream = Replies;

    async fn bidi(&self, _: Request<Streaming<EchoRequest>>) -> Result<Response<Replies>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}
