//! Whatever happens in whatever order: no connection is lent twice, none is lost, and there are never more
//! than there may be.

use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Waker};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::DuplexStream;
use wharf_control::upstream::Ticket;
use wharf_pool::{ConnectionGuard, Endpoints, Pool, Registry, ScopeLimits};

use super::*;
use crate::body::SendBody;
use crate::endpoint::links::Loan;

const MOST: u32 = 4;
const MOST_WAITING: u32 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Grow,
    Connected,
    Failed,
    Take,
    GiveBack(usize),
    Breaks(usize),
    Retire(usize),
    Trim,
    Upgrade(usize),
    Join(Need),
    Turn,
    Leave(usize),
    Later(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Grow),
        4 => Just(Step::Connected),
        1 => Just(Step::Failed),
        4 => Just(Step::Take),
        4 => any::<usize>().prop_map(Step::GiveBack),
        1 => any::<usize>().prop_map(Step::Breaks),
        1 => any::<usize>().prop_map(Step::Retire),
        1 => Just(Step::Trim),
        1 => any::<usize>().prop_map(Step::Upgrade),
        3 => Just(Step::Join(Need::Any)),
        1 => Just(Step::Join(Need::Http1)),
        3 => Just(Step::Turn),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (0_u64..3000).prop_map(Step::Later),
    ]
}

/// A connection whose other end never says anything.
struct Open {
    id: ConnId,
    /// The codec; `None` after it has ended.
    codec: Option<http1::Connection<TokioIo<DuplexStream>, SendBody>>,
    _end: DuplexStream,
    _guard: ConnectionGuard<UpstreamConnection>,
}

/// What somebody who waits will be told.
type Answer = oneshot::Receiver<Result<Granted, LeaseError>>;

struct World {
    ledger: Ledger,
    settings: PoolConfig<PoolSettings>,
    pool: Pool<UpstreamConnection>,
    open: Vec<Open>,
    loans: Vec<Loan>,
    sessions: HashSet<ConnId>,
    waiting: Vec<(Need, Ticket, Answer)>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let mut settings = PoolSettings::defaults();
        settings.protocol.max_connections_per_endpoint = Count::new(MOST).unwrap();
        settings.protocol.max_waiting = Count::new(MOST_WAITING).unwrap();
        let registry = Registry::new(ScopeLimits::default());
        let pool = registry.get_or_create(&"api/http".parse().unwrap(), settings.clone());
        Self {
            ledger: Ledger::new(Scheme::Http, &settings, 7, Timestamp::ZERO),
            pool: pool.unwrap(),
            settings,
            open: Vec::new(),
            loans: Vec::new(),
            sessions: HashSet::new(),
            waiting: Vec::new(),
            now: Timestamp::ZERO,
        }
    }

    async fn connected(&mut self) {
        if self.ledger.connecting == 0 {
            return;
        }
        self.ledger.connecting -= 1;
        let ends = Endpoints::new(
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        );
        let connection = UpstreamConnection::new("http://127.0.0.1:1".parse().unwrap());
        let guard = self.pool.add(ends, connection).unwrap();
        self.ledger.opened(guard.handle().connection());
        let (io, end) = tokio::io::duplex(64);
        let (sender, mut codec) = http1::handshake(TokioIo::new(io)).await.unwrap();
        // Once, so that it is ready for a request.
        assert!(
            Pin::new(&mut codec)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        let id = guard.handle().id();
        let sender = Sender::Http1(sender);
        let arrived = self.ledger.arrive(sender, guard.handle(), Duration::ZERO);
        assert!(arrived.is_ok());
        self.ledger.enter(id);
        self.open.push(Open {
            id,
            codec: Some(codec),
            _end: end,
            _guard: guard,
        });
    }

    async fn take(&mut self, step: Step) {
        let nth = |n: usize, len: usize| (len > 0).then(|| n % len.max(1));
        match step {
            Step::Grow => drop(self.ledger.grow(&self.settings, true, self.now)),
            Step::Connected => self.connected().await,
            Step::Failed => self.ledger.connecting = self.ledger.connecting.saturating_sub(1),
            Step::Take => self.loans.extend(self.ledger.links.take()),
            Step::GiveBack(n) => {
                if let Some(n) = nth(n, self.loans.len()) {
                    let loan = self.loans.swap_remove(n);
                    self.ledger.links.give_back(loan.id);
                }
            }
            Step::Breaks(n) => {
                if let Some(n) = nth(n, self.open.len()) {
                    let Open {
                        codec,
                        _guard: guard,
                        ..
                    } = self.open.swap_remove(n);
                    drop(codec);
                    drop(self.ledger.closed(&guard.handle()));
                }
            }
            Step::Retire(n) => {
                if let Some(n) = nth(n, self.open.len()) {
                    drop(self.ledger.links.retire(self.open[n].id));
                }
            }
            Step::Trim => drop(self.ledger.trim(self.now)),
            Step::Upgrade(n) => {
                if let Some(n) = nth(n, self.loans.len()) {
                    let id = self.loans[n].id;
                    self.ledger.upgraded(id);
                    self.ledger.upgraded(id);
                    self.sessions.insert(id);
                }
            }
            Step::Join(need) => {
                let (answer, granted) = oneshot::channel();
                let due = self.now.after(Duration::from_secs(5));
                let line = self.ledger.line(need);
                if let Ok((ticket, _)) = line.join(0, due, answer, self.now) {
                    self.waiting.push((need, ticket, granted));
                }
            }
            Step::Turn => {
                if let Some(Turn { waiter, granted }) = self.ledger.turn(&self.settings, self.now) {
                    drop(waiter);
                    if let Ok(Grant::Loan(loan)) = granted {
                        self.loans.push(loan);
                    }
                }
            }
            Step::Leave(n) => {
                if let Some(n) = nth(n, self.waiting.len()) {
                    let (need, ticket, _) = self.waiting.swap_remove(n);
                    drop(self.ledger.line(need).leave(ticket));
                }
            }
            Step::Later(millis) => self.now = self.now.after(Duration::from_millis(millis)),
        }
        // Those who were answered, or whose answer was dropped, wait no longer.
        self.waiting.retain_mut(|(_, _, granted)| {
            granted
                .try_recv()
                .is_err_and(|it| it == oneshot::error::TryRecvError::Empty)
        });
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let usage = self.ledger.usage();
        let there: HashSet<_> = self.open.iter().map(|it| it.id).collect();
        let sessions = self.sessions.intersection(&there).count();
        prop_assert_eq!(self.ledger.sessions() as usize, sessions);
        let there: HashSet<_> = there.difference(&self.sessions).copied().collect();
        prop_assert_eq!((usage.in_use + usage.idle) as usize, there.len());
        prop_assert!(usage.in_use + usage.idle + usage.connecting <= MOST);
        for need in [Need::Any, Need::Http1] {
            let waiting = self.waiting.iter().filter(|it| it.0 == need).count();
            prop_assert!(waiting <= MOST_WAITING as usize);
            prop_assert!(need == Need::Http1 || usage.waiting as usize == waiting);
        }
        let mut lent = HashSet::new();
        for loan in &self.loans {
            prop_assert!(lent.insert(loan.id), "lent twice");
        }
        let in_use = lent.intersection(&there).count();
        prop_assert_eq!(self.ledger.links.streams() as usize, in_use);
        prop_assert!(in_use + self.ledger.links.free() as usize <= there.len());
        Ok(())
    }
}

proptest! {
    #[test]
    fn no_connection_is_lent_twice_or_lost(steps in prop::collection::vec(step(), 0..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                world.take(step).await;
                world.check()?;
            }
            // Whatever was given back and is there is used again.
            for loan in std::mem::take(&mut world.loans) {
                world.ledger.links.give_back(loan.id);
            }
            prop_assert_eq!(world.ledger.links.streams(), 0);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_before_it_arrived_is_not_kept() {
    let mut world = World::new();
    let ends = Endpoints::new(
        "127.0.0.1:1".parse().unwrap(),
        "127.0.0.1:2".parse().unwrap(),
    );
    let connection = UpstreamConnection::new("http://127.0.0.1:1".parse().unwrap());
    let guard = world.pool.add(ends, connection).unwrap();
    let (io, _end) = tokio::io::duplex(64);
    let (sender, _codec) = http1::handshake(TokioIo::new(io)).await.unwrap();
    guard.handle().connection().gone.cancel();
    let sender = Sender::Http1(sender);
    let arrived = world.ledger.arrive(sender, guard.handle(), Duration::ZERO);
    assert!(arrived.is_err());
    assert!(world.ledger.links.sender(guard.handle().id()).is_none());
}
