//! hyper by itself: a task for each connection, no limit, and no timer unless it is told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use wharf_bench_peers::{ANSWER, Apart, Arguments, Pieces, acceptor, listen};

type AnswerBody = Either<Full<Bytes>, Pieces>;

/// What it is told.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
    /// Close a connection of HTTP/1 that has asked for nothing for so long.
    #[arg(long)]
    idle: Option<humantime::Duration>,
    /// A runtime for each worker, and no TLS: each connection stays with the worker that had fewest.
    #[arg(long, conflicts_with = "certificate")]
    apart: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.apart {
        return apart(&options);
    }
    options.common.runtime()?.block_on(serve(&options))
}

fn apart(options: &Options) -> Result<()> {
    let Options { common, idle, .. } = options;
    let (is_http2, idle) = (common.http2, idle.map(Into::into));
    let workers = Apart::start(common.workers, move |stream| async move {
        if is_http2 {
            http2(stream).await
        } else {
            http1(stream, idle).await
        }
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = listen(common.address)?;
        Ok(workers.accept(&listener).await?)
    })
}

async fn serve(options: &Options) -> Result<()> {
    let arguments = &options.common;
    let (is_http2, idle) = (arguments.http2, options.idle.map(Into::into));
    let listener = listen(arguments.address)?;
    let Some(certificate) = &arguments.certificate else {
        loop {
            let stream = accept(&listener).await?;
            // Each kind of connection is a task of its own size.
            if is_http2 {
                tokio::spawn(http2(stream));
            } else {
                tokio::spawn(http1(stream, idle));
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
            tokio::spawn(async move { http1(shaking.await?, idle).await });
        }
    }
}

async fn accept(listener: &TcpListener) -> std::io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn http1<T>(stream: T, idle: Option<Duration>) -> Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    if idle.is_some() {
        builder.timer(TokioTimer::new());
    }
    builder
        .header_read_timeout(idle)
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

async fn answer(request: Request<Incoming>) -> Result<Response<AnswerBody>, hyper::Error> {
    Ok(match request.uri().path() {
        "/hello" => Response::new(Either::Left(Full::new(Bytes::from_static(ANSWER)))),
        "/work" => {
            work();
            Response::new(Either::Left(Full::new(Bytes::from_static(ANSWER))))
        }
        "/bytes" => Response::new(Either::Right(Pieces::asked(request.uri().query()))),
        "/count" => {
            let came = count(request.into_body()).await?;
            Response::new(Either::Left(Full::new(format!("{came}\n").into())))
        }
        _ => {
            let mut answer = Response::new(Either::Left(Full::default()));
            *answer.status_mut() = hyper::StatusCode::NOT_FOUND;
            answer
        }
    })
}

async fn count(mut body: Incoming) -> Result<usize, hyper::Error> {
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        came += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(came)
}

/// Keeps the processor busy for a while, as a handler that computes does.
fn work() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(100) {
        std::hint::spin_loop();
    }
}
