//! The floor: what the kernel and the runtime cost. Whatever ends with an empty line is answered with
//! the same bytes; nothing is understood, nothing is limited.

use anyhow::{Context as _, Result};
use clap::Parser;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use wharf_bench_peers::{Arguments, acceptor, listen};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
    date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, World!";

/// What a client reads that wants no second answer: else it would send its next request here.
const LAST: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
    connection: close\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, World!";

const END: &[u8] = b"\r\n\r\n";
const CLOSE: &[u8] = b"Connection: close";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    arguments.runtime()?.block_on(serve(&arguments))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let listener = listen(arguments.address)?;
    let tls = match &arguments.certificate {
        Some(certificate) => {
            let key = arguments.key.as_deref().context("no key")?;
            Some(acceptor(certificate, key, b"http/1.1")?)
        }
        None => None,
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        if let Some(tls) = &tls {
            let shaking = tls.accept(stream);
            tokio::spawn(async move { answer(shaking.await?).await });
        } else {
            tokio::spawn(answer(stream));
        }
    }
}

/// Answers until the client wants no more. A head that comes in two pieces is not recognised: the
/// clients of this benchmark send it in one.
async fn answer<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        let head = &buffer[..count];
        if head.is_empty() {
            return Ok(());
        }
        let last = head.windows(CLOSE.len()).any(|part| part == CLOSE);
        if head.ends_with(END) {
            stream.write_all(if last { LAST } else { ANSWER }).await?;
            stream.flush().await?;
        }
        if last {
            return Ok(stream.shutdown().await?);
        }
    }
}
