//! Sessions of a handler that knows nothing of wharf, axum's own: their limits, Pings and ends are
//! wharf's all the same.
//!
//! `cargo run -p wharf-http --example websocket_axum`, then `websocat ws://127.0.0.1:3001/ws`. Another
//! address may be given, and settings of sessions after it: `127.0.0.1:3001 max_message_size=4MiB`.

use std::error::Error;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::{Router, routing::any};
use wharf_http::pool::config::{PoolConfig, Value};
use wharf_http::{ListenerSetup, Protocol, ProtocolSettings, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address = address.as_deref().unwrap_or("127.0.0.1:3001").parse()?;
    let setup = ListenerSetup::new("main".parse()?, address)
        .pool(Protocol::Http, Protocol::Http.defaults())
        .pool(Protocol::WebSocket, sessions(arguments)?);
    let app = Router::new().route("/ws", any(echo));
    let running = Server::builder().listener(setup, app).start().await?;
    // Without signals there is nobody who could end it.
    tokio::signal::ctrl_c().await.ok();
    running.drain().await;
    Ok(())
}

/// The defaults, but for these settings.
fn sessions(
    settings: impl Iterator<Item = String>,
) -> Result<PoolConfig<ProtocolSettings>, Box<dyn Error>> {
    let config = Protocol::WebSocket.defaults();
    let mut patch = config.patch();
    for setting in settings {
        let (key, value) = setting.split_once('=').ok_or("a setting is KEY=VALUE")?;
        let number = value.parse().map(Value::Integer);
        patch.set(key, &number.unwrap_or_else(|_| value.into()))?;
    }
    let config = config.patched(&patch);
    let (config, _) = config.map_err(|faults| format!("{faults:?}"))?;
    Ok(config)
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
                let code = match error.into_inner().downcast_ref::<tungstenite::Error>() {
                    Some(tungstenite::Error::Utf8(_)) => close_code::INVALID,
                    Some(tungstenite::Error::Protocol(_)) => close_code::PROTOCOL,
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
