//! A handler that computes for 2 ms on average (exponentially spread) and never waits, on one worker.
//!
//! `GET /work` and `GET /pay`, which is critical, do that; `GET /limit` says how many requests are let in at a time.

mod work;

use std::net::SocketAddr;

use anyhow::Result;
use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use clap::{Parser, ValueEnum};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use wharf_http::RequestBody;
use wharf_http::admission::{Admission, AdmissionSettings, Class, Rank};

use work::Work;

/// What it is told.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen.
    address: SocketAddr,
    /// Who serves.
    #[arg(value_enum)]
    kind: Kind,
}

/// Who serves the same router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// `axum::serve`.
    Axum,
    /// `wharf_http::serve`.
    Wharf,
    /// The same with a limit of requests.
    Limited,
}

fn main() -> Result<()> {
    let options = Options::parse();
    // Before it listens: whoever can connect is served by a handler that knows its speed.
    let work = Work::calibrated();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.address).await?;
        match options.kind {
            Kind::Axum => axum::serve(listener, app(work)).await?,
            Kind::Wharf => wharf_http::serve(listener, app(work)).await?,
            Kind::Limited => {
                let admission = Admission::new(AdmissionSettings::default());
                let told = admission.clone();
                let limit = get(async move || told.report().limit.to_string());
                let app = app(work).route("/limit", limit);
                wharf_http::serve(listener, admission.ranked(app, rank)).await?;
            }
        }
        Ok(())
    })
}

fn app(work: Work) -> Router {
    let handler = async move || {
        work.once();
        StatusCode::OK
    };
    Router::new()
        .route("/work", get(handler))
        .route("/pay", get(handler))
}

fn rank(request: &Request<RequestBody>) -> Rank {
    match request.uri().path() {
        "/pay" => Rank::new(Class::Critical),
        "/limit" => Rank::exempt(),
        _ => Rank::default(),
    }
}
