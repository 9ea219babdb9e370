//! tokio-tungstenite by itself: every message comes back.

use anyhow::Result;
use clap::Parser;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;
use wharf_bench_peers::{Arguments, listen};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(async {
        let listener = listen(arguments.address)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) -> Result<()> {
    let mut session = accept_async(stream).await?;
    while let Some(message) = session.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            session.send(message).await?;
        }
    }
    Ok(())
}
