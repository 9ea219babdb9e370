//! HTTPS and HTTP/2 on one port, with a certificate that is exchanged while it serves.
//!
//! `cargo run -p wharf-http --example tls` makes one in memory; `curl -k https://127.0.0.1:3443/`.
//! With `-- server.crt server.key` it is read from PEM files. SIGHUP reads, or makes, it again.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_types,
    reason = "it is a program, and certificates are valid by the time of day"
)]

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Extension, Router, routing::get};
use tokio::signal::unix::{SignalKind, signal};
use wharf_http::tls::{Certificate, Certificates, ClientAuth, UtcTime};
use wharf_http::{Connected, ListenerSetup, Protocol, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A clone is the same set: what is replaced here is replaced in the listener.
    let certificates = Certificates::new(certificate()?, Vec::new());
    // A protocol for each pool; ALPN offers what they are for.
    let setup = ListenerSetup::new("web".parse()?, "127.0.0.1:3443".parse()?)
        .tls(certificates.clone(), ClientAuth::Off)
        .pool(Protocol::Https, Protocol::Https.defaults())
        .pool(Protocol::Http2, Protocol::Http2.defaults());
    let app = Router::new().route("/", get(agreed));
    let _server = Server::builder().listener(setup, app).start().await?;

    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        match certificate() {
            // For handshakes that begin now. Open connections go on as they are.
            Ok(next) => certificates.replace(next, Vec::new()),
            Err(error) => eprintln!("the old certificate stays: {error}"),
        }
    }
    Ok(())
}

/// What the handshake has agreed on.
async fn agreed(Extension(connection): Extension<Connected>) -> String {
    let tls = connection.handle().connection().tls();
    tls.map_or_else(String::new, |tls| {
        format!("{} {}\n", tls.version, tls.cipher)
    })
}

/// From the files that were named, else made in memory: nobody has a reason to trust that.
fn certificate() -> Result<Certificate, Box<dyn Error>> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = UtcTime::from_unix_seconds(seconds.try_into()?);
    let files: Vec<_> = std::env::args().skip(1).collect();
    let certificate = match files.as_slice() {
        [chain, key] => Certificate::from_pem(&std::fs::read(chain)?, &std::fs::read(key)?, now)?,
        _ => Certificate::self_signed(&[], now)?,
    };
    println!(
        "serial {}, until {}",
        certificate.serial(),
        certificate.not_after()
    );
    Ok(certificate)
}
