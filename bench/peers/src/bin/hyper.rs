//! hyper by itself: a task for each connection, no timer, no limit.

use std::convert::Infallible;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use wharf_bench_peers::{ANSWER, Arguments, acceptor, listen};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(serve(&arguments))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let is_http2 = arguments.http2;
    let listener = listen(arguments.address)?;
    let Some(certificate) = &arguments.certificate else {
        loop {
            let stream = accept(&listener).await?;
            // Each kind of connection is a task of its own size.
            if is_http2 {
                tokio::spawn(http2(stream));
            } else {
                tokio::spawn(http1(stream));
            }
        }
    };
    let key = arguments.key.as_deref().context("no key")?;
    let alpn: &[u8] = if is_http2 { b"h2" } else { b"http/1.1" };
    let tls = acceptor(certificate, key, alpn)?;
    loop {
        let shaking = tls.accept(accept(&listener).await?);
        if is_http2 {
            tokio::spawn(async move { http2(shaking.await?).await });
        } else {
            tokio::spawn(async move { http1(shaking.await?).await });
        }
    }
}

async fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn http1<T>(stream: T) -> Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await?;
    Ok(())
}

async fn http2<T>(stream: T) -> Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http2_builder()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await?;
    Ok(())
}

/// The settings that wharf's connections have by default.
fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(5 << 20)
        .max_concurrent_streams(100)
        .max_header_list_size(16 << 10)
        .max_send_buf_size(38 << 10);
    builder
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    if request.uri().path() != "/hello" {
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
    }
    Ok(response)
}
