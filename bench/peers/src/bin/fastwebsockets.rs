//! fastwebsockets behind hyper: every message comes back.

use anyhow::Result;
use bytes::Bytes;
use clap::Parser;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use wharf_bench_peers::{Arguments, listen};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(async {
        let listener = listen(arguments.address)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}

async fn serve(stream: TcpStream) -> Result<()> {
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades()
        .await?;
    Ok(())
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (answer, session) = upgrade(&mut request)?;
    tokio::spawn(echo(session));
    Ok(answer)
}

async fn echo(session: UpgradeFut) -> Result<(), WebSocketError> {
    let mut session = FragmentCollector::new(session.await?);
    loop {
        let message = session.read_frame().await?;
        match message.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => session.write_frame(message).await?,
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}
