//! [`look`] and [`follow`]: what asks, and what listens.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch::Receiver;
use tokio::time::{interval, sleep};

use super::client::{AskError, Client};
use super::figures::{list, number, text};
use super::view::Wanted;

/// How often the figures are asked for.
const EVERY: Duration = Duration::from_secs(1);

/// How long an event may be: one with every setting of a pool is shorter.
const LONGEST_EVENT: usize = 256 << 10;

/// What is told to the screen.
#[derive(Debug)]
pub(super) enum Told {
    /// The figures of now, and the samples that are new.
    Figures(Box<Figures>),
    /// Nobody answers.
    Fault(AskError),
    /// Something happened.
    Event(Value),
    /// The events that follow are others than those before.
    Anew,
}

/// The figures of one time.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) health: Value,
    pub(super) pools: Value,
    pub(super) connections: Value,
    pub(super) past: Value,
}

/// Asks every second, and when something else is wanted.
pub(super) async fn look(mut client: Client, mut wanted: Receiver<Wanted>, tell: Sender<Told>) {
    let mut ticks = interval(EVERY);
    let mut known = (0.0, 0.0);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = wanted.changed() => {}
        }
        let sort = wanted.borrow_and_update().sort;
        let told = match ask(&mut client, sort, &mut known).await {
            Ok(figures) => Told::Figures(Box::new(figures)),
            Err(error) => Told::Fault(error),
        };
        if tell.send(told).await.is_err() {
            return;
        }
    }
}

/// `known` is how long the server had been up when it was last heard of, and its last sample.
async fn ask(client: &mut Client, sort: &str, known: &mut (f64, f64)) -> Result<Figures, AskError> {
    let health = client.get("/health").await?;
    let uptime = number(&health, "/uptime_ms");
    if uptime < known.0 {
        // Another process: its samples begin anew.
        known.1 = 0.0;
    }
    known.0 = uptime;
    let past = client
        .get(&format!("/pools/history?since={}", known.1))
        .await?;
    if let Some(last) = list(&past, "/at_ms").last().and_then(Value::as_f64) {
        known.1 = last;
    }
    Ok(Figures {
        pools: client.get("/pools").await?,
        connections: client
            .get(&format!("/connections?limit=200&sort={sort}"))
            .await?,
        health,
        past,
    })
}

/// Listens to the events, and comes again when the stream ends.
pub(super) async fn follow(mut client: Client, mut wanted: Receiver<Wanted>, tell: Sender<Told>) {
    loop {
        let path = wanted.borrow_and_update().events();
        if tell.send(Told::Anew).await.is_err() {
            return;
        }
        let others = async {
            // Only other events are a reason to begin again.
            while wanted.changed().await.is_ok() {
                if wanted.borrow().events() != path {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = others => {}
            () = read(&mut client, &path, &tell) => return,
        }
    }
}

/// Reads one stream, again and again, until nobody wants to hear of it.
async fn read(client: &mut Client, path: &str, tell: &Sender<Told>) {
    let mut last: Option<String> = None;
    loop {
        if let Ok(mut body) = client.stream(path, last.as_deref()).await {
            let mut lines = Lines::default();
            while let Some(bytes) = next(&mut body).await {
                for event in lines.take(&bytes) {
                    last = Some(text(&event, "/id").to_owned());
                    if tell.send(Told::Event(event)).await.is_err() {
                        return;
                    }
                }
            }
        }
        sleep(EVERY).await;
    }
}

async fn next(body: &mut Incoming) -> Option<hyper::body::Bytes> {
    loop {
        let frame = body.frame().await?.ok()?;
        if let Ok(data) = frame.into_data() {
            return Some(data);
        }
    }
}

/// The lines of a stream, of which some are data.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The events that end in `bytes`.
    fn take(&mut self, bytes: &[u8]) -> Vec<Value> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.rest.len() + piece.len() <= LONGEST_EVENT {
                self.rest.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let event = self.rest.strip_prefix(b"data:");
                events.extend(event.and_then(|data| serde_json::from_slice(data).ok()));
                self.rest.clear();
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_bytes_come() {
        let stream = b": hello\nretry: 1000\n\nid: e-1\nevent: drain\ndata: {\"id\":\"e-1\"}\n\ndata: no\n\ndata:{\"id\":\"e-2\"}\n\n";
        let ids = |events: &[Value]| {
            events
                .iter()
                .map(|it| text(it, "/id").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&Lines::default().take(stream)), ["e-1", "e-2"]);
        let mut lines = Lines::default();
        let one_by_one: Vec<_> = stream
            .iter()
            .flat_map(|byte| lines.take(&[*byte]))
            .collect();
        assert_eq!(ids(&one_by_one), ["e-1", "e-2"]);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert!(lines.take(&[b'x'; 4096]).is_empty());
        }
        assert!(lines.rest.len() <= LONGEST_EVENT);
        assert!(lines.take(b"\n").is_empty());
        assert_eq!(lines.take(b"data: {\"id\":\"e-3\"}\n").len(), 1);
    }
}
