//! WebSocket sessions over HTTP/1 and HTTP/2: an echo, and a ticker that all of them hear.
//!
//! `cargo run -p wharf-http --example websocket`, then `websocat ws://127.0.0.1:3000/`; Ctrl-C says
//! Close 1001 to all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Router, extract::State, response::IntoResponse, routing::any};
use tokio::net::TcpListener;
use tokio::time::interval;
use wharf_http::serve;
use wharf_http::websocket::{Message, Pusher, Queued, WebSocket, WebSocketUpgrade};

/// Those who hear the ticker.
type Listeners = Arc<Mutex<Vec<Pusher>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listeners = Listeners::default();
    let app = Router::new().route("/", any(open));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.with_state(Arc::clone(&listeners));
    tokio::select! {
        ended = serve(listener, app).with_graceful_shutdown(stop()) => ended?,
        () = tick(listeners) => {}
    }
    Ok(())
}

async fn open(upgrade: WebSocketUpgrade, State(all): State<Listeners>) -> impl IntoResponse {
    upgrade.on_upgrade(async move |mut session: WebSocket| {
        let mine = session.pusher();
        all.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(mine);
        while let Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) = session.recv().await
        {
            if session.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// Waits for nobody: who takes it too slowly is closed, or misses some, as `slow_consumer` says.
async fn tick(listeners: Listeners) {
    let mut every = interval(Duration::from_secs(10));
    for n in 0_u64.. {
        every.tick().await;
        let tick = Message::from(format!("tick {n}"));
        let mut all = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|listener| listener.push(tick.clone()) != Queued::Ended);
    }
}

async fn stop() {
    // Without signals there is nobody who could end it.
    tokio::signal::ctrl_c().await.ok();
}
