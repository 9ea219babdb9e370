//! The demo's WebSocket sessions: an echo, and rooms.
//!
//! They are axum's own. What a client may send, Pings and the end of a session are wharf's.

mod room;

pub(super) use room::{Rooms, enter};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use tungstenite::Error as WsError;

/// `GET /ws`: every message comes back, its fragments joined.
pub(super) async fn echo(upgrade: WebSocketUpgrade) -> Response {
    lean(upgrade).on_upgrade(echo_all)
}

/// Small buffers, and no limits besides wharf's: what comes here has passed those, and no Pings do. Each
/// message is sent before the next is taken, so what waits to be sent is one message.
fn lean(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX)
}

async fn echo_all(mut socket: WebSocket) {
    while let Some(received) = socket.recv().await {
        let sent = match received {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await,
            // The codec answers a Close, and then there is nothing more.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => Ok(()),
            Err(error) => return refuse(&mut socket, error).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Tells the client what its codec did not like. Who is gone hears nothing.
async fn refuse(socket: &mut WebSocket, error: axum::Error) {
    let code = match error.into_inner().downcast_ref::<WsError>() {
        Some(WsError::Utf8(_)) => close_code::INVALID,
        Some(WsError::Protocol(_)) => close_code::PROTOCOL,
        Some(_) | None => return,
    };
    let close = CloseFrame {
        code,
        reason: "".into(),
    };
    socket.send(Message::Close(Some(close))).await.ok();
}
