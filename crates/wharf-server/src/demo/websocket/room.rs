//! [`Rooms`]: what one member says, all hear, and a slow one costs the others nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use wharf_http::websocket::{Message, Pusher, WebSocket, WebSocketReceiver, WebSocketUpgrade};

/// The longest name of a room.
const LONGEST_NAME: usize = 64;

/// The rooms in which somebody is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rooms(Arc<Mutex<HashMap<String, Members>>>);

/// Those in one room. Whoever speaks keeps the list as it was for a moment, without its lock.
type Members = Arc<Vec<Pusher>>;

/// `GET /ws/room/{name}`.
pub(crate) async fn enter(
    Path(name): Path<String>,
    State(rooms): State<Rooms>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if name.len() > LONGEST_NAME {
        return (StatusCode::NOT_FOUND, "the name of the room is too long\n").into_response();
    }
    let talk = async |session: WebSocket| {
        let (sender, receiver) = session.split();
        let seat = Seat::take(rooms, name, sender.pusher());
        seat.talk(receiver).await;
    };
    upgrade.on_upgrade(talk).into_response()
}

/// A member's place, given back when it is dropped.
struct Seat {
    rooms: Rooms,
    name: String,
    member: Pusher,
}

impl Seat {
    fn take(rooms: Rooms, name: String, member: Pusher) -> Self {
        let mut all = rooms.lock();
        let members = all.entry(name.clone()).or_default();
        Arc::make_mut(members).push(member.clone());
        drop(all);
        Self {
            rooms,
            name,
            member,
        }
    }

    async fn talk(self, mut receiver: WebSocketReceiver) {
        while let Some(Ok(message)) = receiver.recv().await {
            if let Message::Close(_) = message {
                return;
            }
            self.tell_all(&message);
        }
    }

    /// All who are here hear it, whoever says it among them. The bytes are shared; who takes them too
    /// slowly is for `slow_consumer` to decide.
    fn tell_all(&self, message: &Message) {
        let members = self.rooms.lock().get(&self.name).cloned();
        for member in members.iter().flat_map(|members| members.iter()) {
            member.push(message.clone());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.rooms.lock();
        if let Some(members) = rooms.get_mut(&self.name) {
            Arc::make_mut(members).retain(|member| *member != self.member);
            if members.is_empty() {
                rooms.remove(&self.name);
            }
        }
    }
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Members>> {
        // What is here is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
