//! [`Apart`]: a runtime of one thread for each worker, and each connection handed to whoever has fewest.

use std::io;
use std::net::TcpStream as Handed;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

/// Connections that wait for one worker.
const WAITING: usize = 1024;

/// The workers.
#[derive(Debug)]
pub struct Apart(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    /// Connections that it has, or will have.
    open: Arc<AtomicUsize>,
    door: mpsc::Sender<Handed>,
}

impl Apart {
    /// Starts so many, each of which serves its connections like this.
    ///
    /// # Errors
    ///
    /// A thread or its runtime cannot be started.
    pub fn start<S, F>(count: usize, serve: S) -> io::Result<Self>
    where
        S: Fn(TcpStream) -> F + Clone + Send + 'static,
        F: Future + 'static,
    {
        let start = |_| {
            let (door, handed) = mpsc::channel(WAITING);
            let open = Arc::new(AtomicUsize::new(0));
            let (mine, serve) = (Arc::clone(&open), serve.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            thread::Builder::new().spawn(move || {
                LocalSet::new().block_on(&runtime, work(handed, mine, Rc::new(serve)));
            })?;
            Ok(Worker { open, door })
        };
        Ok(Self((0..count).map(start).collect::<io::Result<_>>()?))
    }

    /// Accepts, and hands over, for ever.
    ///
    /// # Errors
    ///
    /// A connection cannot be accepted, or a worker has ended.
    pub async fn accept(&self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let stream = stream.into_std()?;
            let least = self.0.iter().min_by_key(|it| it.open.load(Relaxed));
            let Some(worker) = least else {
                return Ok(());
            };
            worker.open.fetch_add(1, Relaxed);
            worker.door.send(stream).await.map_err(io::Error::other)?;
        }
    }
}

async fn work<S, F>(mut handed: mpsc::Receiver<Handed>, open: Arc<AtomicUsize>, serve: Rc<S>)
where
    S: Fn(TcpStream) -> F + 'static,
    F: Future + 'static,
{
    while let Some(stream) = handed.recv().await {
        let (open, serve) = (Arc::clone(&open), Rc::clone(&serve));
        spawn_local(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream).await;
            }
            open.fetch_sub(1, Relaxed);
        });
    }
}
