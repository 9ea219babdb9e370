//! [`Sink`]: a bounded queue of lines, and the thread that writes them.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many bytes of lines may wait: a second of a busy access log.
const QUEUE: usize = 4 << 20;

/// What takes a note off a terminal again: the cursor stands before it.
const CLEAR: &[u8] = b"\x1b[2K";

/// How long lines are collected before one write takes them all.
const COLLECT: Duration = Duration::from_millis(5);

/// Where lines go. Cheap to clone; putting a line in never waits for the stream.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    lines: Vec<u8>,
    writing: bool,
    pace: Pace,
    note: Note,
}

/// What stands below the last line of a terminal, and is written again below each that follows.
#[derive(Debug, Default)]
struct Note {
    text: Option<String>,
    changed: bool,
}

/// Whether lines are collected before they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    #[default]
    Collect,
    /// Somebody waits for them.
    Hurry,
}

impl Sink {
    /// Starts the thread that writes to `out`. It ends with the process.
    pub(crate) fn start(name: &str, out: impl Write + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name(name.to_owned());
        if writer.spawn(move || theirs.write_all(out)).is_err() {
            // Without a thread every line is one that was dropped, and counted so.
            shared.lock().writing = true;
        }
        Self { shared }
    }

    /// Puts a line in; one that does not fit is counted and lost.
    pub(crate) fn put(&self, line: &[u8]) {
        let mut queue = self.shared.lock();
        if queue.lines.len() + line.len() > QUEUE {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let first = queue.lines.is_empty();
        queue.lines.extend_from_slice(line);
        drop(queue);
        if first {
            self.shared.filled.notify_one();
        }
    }

    /// Keeps `text` below the last line from now on. Only for terminals.
    pub(crate) fn note(&self, text: Option<String>) {
        let mut queue = self.shared.lock();
        queue.note = Note {
            text,
            changed: true,
        };
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// How many lines were lost.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything that was put in is written, for `at_most` that long.
    pub(crate) fn flush(&self, at_most: Duration) {
        let mut queue = self.shared.lock();
        queue.pace = Pace::Hurry;
        self.shared.filled.notify_one();
        let busy = |queue: &mut Queue| queue.writing || queue.has_news();
        let waited = self.shared.emptied.wait_timeout_while(queue, at_most, busy);
        drop(waited);
    }
}

impl Queue {
    fn has_news(&self) -> bool {
        !self.lines.is_empty() || self.note.changed
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing under this lock panics.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        let mut noted = false;
        loop {
            let mut queue = self.lock();
            while !queue.has_news() {
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.pace == Pace::Collect {
                let waited = self.filled.wait_timeout(queue, COLLECT);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            mem::swap(&mut queue.lines, &mut batch);
            queue.note.changed = false;
            let note = queue.note.text.clone();
            queue.writing = true;
            drop(queue);
            if noted || note.is_some() {
                // It loses nothing that is counted.
                write(&mut out, CLEAR).ok();
            }
            if write(&mut out, &batch).is_err() {
                let lines = batch.split(|byte| *byte == b'\n').count() as u64 - 1;
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            batch.clear();
            noted = note.is_some();
            if let Some(note) = note {
                write(&mut out, note.as_bytes())
                    .and_then(|()| write(&mut out, b"\r"))
                    .ok();
            }
            self.lock().writing = false;
            self.emptied.notify_all();
        }
    }
}

/// Writes all of `bytes`; a stream that takes nothing for now is asked again.
fn write(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::park_timeout(COLLECT);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[derive(Debug)]
    struct Slow(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .recv()
                .map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_takes_nothing_costs_lines_and_no_time() {
        let (go, gate) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::start("test", Slow(gate, Arc::clone(&written)));
        let line = [b'x'; 1024];
        for _ in 0..3 * QUEUE / line.len() {
            sink.put(&line);
        }
        assert!(sink.dropped() > 0);
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        sink.flush(Duration::from_secs(10));
        assert!(written.lock().unwrap().len() >= QUEUE - line.len());
    }

    #[test]
    fn a_note_stays_below_the_last_line() {
        let (go, gate) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink::start("test", Slow(gate, Arc::clone(&written)));
        for _ in 0..20 {
            go.send(()).unwrap();
        }
        let patience = Duration::from_secs(10);
        sink.put(b"one\n");
        sink.flush(patience);
        sink.note(Some("3 left".to_owned()));
        sink.flush(patience);
        sink.put(b"two\n");
        sink.flush(patience);
        sink.note(None);
        sink.flush(patience);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let clear = "\x1b[2K";
        assert_eq!(
            written,
            format!("one\n{clear}3 left\r{clear}two\n3 left\r{clear}")
        );
    }

    #[test]
    fn a_closed_stream_is_counted_and_harmless() {
        let (go, gate) = mpsc::channel();
        drop(go);
        let sink = Sink::start("test", Slow(gate, Arc::default()));
        sink.put(b"lost\n");
        sink.flush(Duration::from_secs(10));
        assert_eq!(sink.dropped(), 1);
    }
}
