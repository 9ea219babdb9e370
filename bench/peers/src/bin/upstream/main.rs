//! A server behind a gateway, as slow, as full and as faulty as it is told to be.
//!
//! It works by sleeping: a machine of two cores can be eight such servers, and their load is not the
//! machine's. `GET /-/seen` says what it has seen, `GET /-/service/N` makes answers take N microseconds from then on, `GET /bytes/N` is answered with so many, a call of gRPC with
//! a message, any other `POST` with how many bytes came, and everything else with what every peer answers.

mod answers;
mod seen;
mod work;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use wharf_bench_peers::{Arguments, acceptor, listen};

use answers::answer;
use seen::Seen;
use work::{Spread, Work};

/// What it is told.
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
    /// How long an answer takes, on average.
    #[arg(long, default_value = "0s")]
    service: humantime::Duration,
    /// How far apart answers are.
    #[arg(long, value_enum, default_value = "constant")]
    spread: Spread,
    /// So many requests are worked on at once; others wait for their turn.
    #[arg(long, default_value_t = 100_000)]
    places: usize,
    /// Answer 500, at once.
    #[arg(long)]
    fail: bool,
    /// How long a client waits for the first byte of the TLS handshake, as if the server were far away.
    #[arg(long, default_value = "0s")]
    handshake: humantime::Duration,
    /// Chance begins with this.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What all connections share.
struct Server {
    work: Work,
    seen: Seen,
    handshake: Duration,
    tls: Option<TlsAcceptor>,
    http2: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    // One thread: there are many such servers on one core.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&options))
}

async fn serve(options: &Options) -> Result<()> {
    let common = &options.common;
    let alpn: &[u8] = if common.http2 { b"h2" } else { b"http/1.1" };
    let tls = match &common.certificate {
        Some(certificate) => {
            let key = common.key.as_deref().context("no key")?;
            Some(acceptor(certificate, key, alpn)?)
        }
        None => None,
    };
    let server = Arc::new(Server {
        work: Work::new(options),
        seen: Seen::new(),
        handshake: options.handshake.into(),
        tls,
        http2: common.http2,
    });
    let listener = listen(common.address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(Arc::clone(&server).connection(stream));
    }
}

impl Server {
    async fn connection(self: Arc<Self>, stream: TcpStream) -> Result<()> {
        let _open = self.seen.open();
        sleep(self.handshake).await;
        match &self.tls {
            Some(tls) => {
                let stream = tls.accept(stream).await?;
                Arc::clone(&self).http(stream).await
            }
            None => Arc::clone(&self).http(stream).await,
        }
    }

    async fn http<T>(self: Arc<Self>, stream: T) -> Result<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let http2 = self.http2;
        let service = service_fn(move |request| answer(request, Arc::clone(&self)));
        let io = TokioIo::new(stream);
        if http2 {
            http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(1_000)
                .serve_connection(io, service)
                .await?;
        } else {
            http1::Builder::new().serve_connection(io, service).await?;
        }
        Ok(())
    }
}
