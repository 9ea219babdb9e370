//! `axum::serve`, which finds out by itself whether HTTP/1 or HTTP/2 is spoken.

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use clap::Parser;
use futures_util::StreamExt as _;
use wharf_bench_peers::{ANSWER, Arguments, Pieces, listen};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(async {
        let listener = listen(arguments.address)?.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let app = Router::new()
            .route("/hello", get(async || ANSWER))
            .route("/bytes", get(bytes))
            .route("/count", post(count));
        axum::serve(listener, app).await?;
        Ok(())
    })
}

async fn bytes(target: Uri) -> Body {
    Body::new(Pieces::asked(target.query()))
}

async fn count(body: Body) -> Result<String, StatusCode> {
    let mut body = body.into_data_stream();
    let mut came = 0;
    while let Some(piece) = body.next().await {
        came += piece.map_err(|_| StatusCode::BAD_REQUEST)?.len();
    }
    Ok(format!("{came}\n"))
}
