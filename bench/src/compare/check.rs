//! Whether a server gives the answer that all give, asked once.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, TE};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::load::Load;
use super::{echo, handshake};
use crate::client::Door;
use crate::peers::Running;
use crate::site::Site;
use crate::work::Work;

/// Asks once.
pub(super) fn check(load: &Load, site: &Site, server: &Running) -> Result<()> {
    let at = server.address;
    match load.work {
        Work::Hello => {
            let door = Door {
                address: at,
                protocol: load.protocol,
                tls: site.client(load.protocol)?,
            };
            let mut client = door.connect(0)?;
            client.greet()?;
            client.ask()?;
            client.hear()
        }
        Work::Handshake { .. } => handshake::check(site, at),
        Work::Echo(length) => echo::check(length, at),
        Work::Download | Work::Upload | Work::Call | Work::Replies => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(ask(load, at))
        }
    }
}

/// One exchange, and the answer compared with what it should be.
async fn ask(load: &Load, at: SocketAddr) -> Result<()> {
    let work = load.work;
    let stream = TokioIo::new(TcpStream::connect(at).await?);
    let request = request(work, at)?;
    let answer = if load.protocol.is_http2() {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        let connection = tokio::spawn(connection);
        let answer = read(sender.send_request(request).await?, work).await;
        connection.abort();
        answer
    } else {
        let (mut sender, connection) = http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let answer = read(sender.send_request(request).await?, work).await;
        connection.abort();
        answer
    };
    let (answer, wanted) = (answer?, work.answer());
    ensure!(
        answer == wanted,
        "another answer, of {} bytes and not {}",
        answer.len(),
        wanted.len()
    );
    Ok(())
}

fn request(work: Work, at: SocketAddr) -> Result<Request<Full<Bytes>>> {
    let (target, body) = (work.target(), work.body());
    let builder = if work.is_grpc() {
        Request::post(format!("http://{at}{target}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
    } else if body.is_empty() {
        Request::get(target).header(HOST, "localhost")
    } else {
        Request::post(target).header(HOST, "localhost")
    };
    Ok(builder.body(Full::from(body))?)
}

async fn read(answer: Response<Incoming>, work: Work) -> Result<Bytes> {
    let status = answer.status();
    let body = answer.into_body().collect().await?;
    let well = body.trailers().and_then(|it| it.get("grpc-status"));
    let well = !work.is_grpc() || well.is_some_and(|it| it == "0");
    ensure!(status.is_success() && well, "answered with {status}");
    Ok(body.to_bytes())
}
