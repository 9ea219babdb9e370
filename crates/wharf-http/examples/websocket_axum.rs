//! Sessions of a handler that knows nothing of wharf, axum's own: their limits, Pings and ends are
//! wharf's all the same.
//!
//! `cargo run -p wharf-http --example websocket_axum`, then `websocat ws://127.0.0.1:3001/ws`. Another
//! address may be given.

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::{Router, routing::any};
use tokio::net::TcpListener;
use tungstenite::Error;
use wharf_http::serve;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3001")).await?;
    let app = Router::new().route("/ws", any(echo));
    let stop = async {
        // Without signals there is nobody who could end it.
        tokio::signal::ctrl_c().await.ok();
    };
    serve(listener, app).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// wharf has the limits; axum's codec is given small buffers and none.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX)
        .on_upgrade(echo_all)
}

async fn echo_all(mut socket: WebSocket) {
    while let Some(received) = socket.recv().await {
        let answer = match received {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => continue,
            Err(error) => {
                let code = match error.into_inner().downcast_ref::<Error>() {
                    Some(Error::Utf8(_)) => close_code::INVALID,
                    Some(Error::Protocol(_)) => close_code::PROTOCOL,
                    Some(_) | None => return,
                };
                let reason = "".into();
                Message::Close(Some(CloseFrame { code, reason }))
            }
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}
