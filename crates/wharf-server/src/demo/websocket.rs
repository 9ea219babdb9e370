//! The demo's WebSocket sessions: an echo, and rooms.

mod room;

pub(super) use room::{Rooms, enter};

use axum::response::{IntoResponse, Response};
use wharf_http::websocket::{Message, WebSocket, WebSocketUpgrade};

/// `GET /ws`: every message comes back, its fragments joined.
pub(super) async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["echo"]);
    upgrade.on_upgrade(echo_all).into_response()
}

async fn echo_all(mut session: WebSocket) {
    while let Some(Ok(message)) = session.recv().await {
        if let Message::Close(_) = message {
            return;
        }
        if session.send(message).await.is_err() {
            return;
        }
    }
}
