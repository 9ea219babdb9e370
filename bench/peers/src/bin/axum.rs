//! `axum::serve`, which finds out by itself whether HTTP/1 or HTTP/2 is spoken.

use anyhow::Result;
use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use clap::Parser;
use wharf_bench_peers::{ANSWER, Arguments, listen};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(async {
        let listener = listen(arguments.address)?.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let app = Router::new().route("/hello", get(async || ANSWER));
        axum::serve(listener, app).await?;
        Ok(())
    })
}
