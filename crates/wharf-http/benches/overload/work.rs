//! The servers that are measured, and the work that they do.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::Instant;
use wharf_control::spread;
use wharf_http::RequestBody;
use wharf_http::admission::{Admission, AdmissionSettings, Class, Rank};

/// On average.
const WORK: Duration = Duration::from_millis(2);

/// Serves until it is killed; says where on standard output.
pub(super) fn serve(kind: &str) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let served = runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let app = app();
        match kind {
            "axum" => axum::serve(listener, app).await,
            "wharf" => wharf_http::serve(listener, app).await,
            _ => {
                let admission = Admission::new(AdmissionSettings::default());
                wharf_http::serve(listener, admission.ranked(app, rank)).await
            }
        }
    });
    served.expect("it serves");
}

fn rank(request: &Request<RequestBody>) -> Rank {
    match request.uri().path() {
        "/pay" => Rank::new(Class::Critical),
        _ => Rank::default(),
    }
}

fn app() -> Router {
    let rounds = calibrated();
    let work = move || async move {
        spin(rounds * exponential());
        StatusCode::OK
    };
    Router::new()
        .route("/work", get(work))
        .route("/pay", get(work))
}

/// How many rounds of work take as long as it is to take on average.
fn calibrated() -> f64 {
    const ROUNDS: f64 = 20_000_000.0;
    spin(ROUNDS);
    let begun = Instant::now();
    spin(ROUNDS);
    ROUNDS * WORK.div_duration_f64(begun.elapsed())
}

/// Rounds and not time: whoever is kept from the processor has not worked.
fn spin(rounds: f64) {
    let mut left = rounds;
    while left > 0.0 {
        left = black_box(left - 1.0);
    }
}

/// Exponential with a mean of one.
fn exponential() -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    -(1.0 - spread(NEXT.fetch_add(1, Ordering::Relaxed), 0)).ln()
}
