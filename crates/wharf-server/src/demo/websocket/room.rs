//! [`Rooms`]: what one member says, all hear, and a slow one costs the others nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Extension;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tokio::sync::Notify;
use wharf_http::websocket::{Queued, SendQueue};
use wharf_http::{Connected, ProtocolSettings, WebSocketSettings};
use wharf_pool::CloseReason;

use super::{lean, refuse};

/// The longest name of a room.
const LONGEST_NAME: usize = 64;

/// The rooms in which somebody is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, Vec<Arc<Member>>>>>);

/// `GET /ws/room/{name}`.
pub(crate) async fn enter(
    Path(name): Path<String>,
    State(rooms): State<Rooms>,
    Extension(connected): Extension<Connected>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if name.len() > LONGEST_NAME {
        return (StatusCode::NOT_FOUND, "the name of the room is too long\n").into_response();
    }
    lean(upgrade).on_upgrade(|socket| async move {
        let seat = Seat::take(rooms, name, connected);
        seat.talk(socket).await;
    })
}

/// One session in a room.
#[derive(Debug)]
struct Member {
    connected: Connected,
    queue: Mutex<SendQueue<Message>>,
    more: Notify,
}

impl Member {
    fn new(connected: Connected) -> Self {
        let config = connected.handle().pool().map(|pool| pool.config());
        let settings = match config.as_ref().map(|config| &config.protocol) {
            Some(ProtocolSettings::WebSocket(settings)) => settings.clone(),
            Some(_) | None => WebSocketSettings::default(),
        };
        Self {
            connected,
            queue: Mutex::new(SendQueue::new(&settings)),
            more: Notify::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, SendQueue<Message>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, message: Message, bytes: usize) {
        let queued = self.queue().push(message, bytes);
        match queued {
            Queued::TooSlow => self
                .connected
                .handle()
                .begin_close(CloseReason::SlowConsumer),
            Queued::Kept | Queued::InsteadOf(_) | _ => self.more.notify_one(),
        }
    }

    /// # Cancel safety
    ///
    /// Dropped, it has taken nothing.
    async fn next(&self) -> Message {
        loop {
            if let Some(message) = self.queue().pop() {
                return message;
            }
            self.more.notified().await;
        }
    }
}

/// A member's place, given back when it is dropped.
struct Seat {
    rooms: Rooms,
    name: String,
    member: Arc<Member>,
}

impl Seat {
    fn take(rooms: Rooms, name: String, connected: Connected) -> Self {
        let member = Arc::new(Member::new(connected));
        rooms
            .lock()
            .entry(name.clone())
            .or_default()
            .push(Arc::clone(&member));
        Self {
            rooms,
            name,
            member,
        }
    }

    async fn talk(self, mut socket: WebSocket) {
        loop {
            tokio::select! {
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => {
                        let bytes = text.len();
                        self.tell_all(&Message::Text(text), bytes);
                    }
                    Some(Ok(Message::Binary(data))) => {
                        let bytes = data.len();
                        self.tell_all(&Message::Binary(data), bytes);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                    Some(Err(error)) => return refuse(&mut socket, error).await,
                    None => return,
                },
                message = self.member.next() => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// All who are here hear it, whoever says it among them. The bytes are shared.
    fn tell_all(&self, message: &Message, bytes: usize) {
        let members = self.rooms.lock().get(&self.name).cloned();
        for member in members.iter().flatten() {
            member.tell(message.clone(), bytes);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        if let Some(members) = rooms.get_mut(&self.name) {
            members.retain(|member| !Arc::ptr_eq(member, &self.member));
            if members.is_empty() {
                rooms.remove(&self.name);
            }
        }
    }
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Member>>>> {
        // What is here is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
