//! The naive model: lists of what is there, counted afresh each time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use wharf_control::TokenBucket;
use wharf_pool::config::{Count, PerSecond, Value};
use wharf_pool::events::{EventKind, Subscription};
use wharf_pool::{
    Charge, CloseReason, Command, ConnId, ConnectionGuard, Listener, MoveReservation, Pool,
    Registry, RejectReason, RequestGuard, ScopeLimits, Slot, Source, TICK, Timestamp, source_of,
};

use super::Step;
use crate::world::{endpoints, ip, listener, patch, pool};

/// Two addresses of one /64 among them, and one that is exempt from shares and rates.
const PEERS: [&str; 5] = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", EXEMPT];
const EXEMPT: &str = "10.9.9.9";

/// The scopes: the process, two listeners, and three pools, with the listener of each.
const SCOPES: usize = 6;
const LISTENER_OF: [usize; SCOPES] = [0, 1, 2, 1, 1, 2];
const FIRST_POOL: usize = 3;

/// Where something is counted: its listener, and its pool once it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    listener: usize,
    pool: Option<usize>,
}

impl Place {
    fn scopes(self) -> impl Iterator<Item = usize> {
        [Some(0), Some(self.listener), self.pool]
            .into_iter()
            .flatten()
    }
}

struct Connection {
    guard: ConnectionGuard,
    place: Place,
    charged: Option<&'static str>,
    told: Option<CloseReason>,
    concluded: Option<CloseReason>,
    request: Option<RequestGuard>,
}

impl Connection {
    fn id(&self) -> ConnId {
        self.guard.handle().id()
    }
}

struct Move {
    reservation: MoveReservation,
    id: ConnId,
    to: usize,
    charged: Option<&'static str>,
}

#[derive(Default)]
struct Limits {
    connections: Option<u32>,
    share: Option<u32>,
    rate: Option<u32>,
    bucket: Option<TokenBucket>,
}

/// What has happened to a pool's connections since start.
#[derive(Clone, Copy, Default)]
struct Flow {
    accepted: u64,
    moved: u64,
    closed: u64,
}

pub(super) struct Model {
    registry: Registry,
    listeners: [Listener; 2],
    pools: [Pool; 3],
    events: Subscription,
    now: Duration,
    slots: Vec<(Slot, Place)>,
    connections: Vec<Connection>,
    moves: Vec<Move>,
    limits: [Limits; SCOPES],
    flows: [Flow; SCOPES],
    /// Every connection that ended, and why.
    ended: HashMap<ConnId, CloseReason>,
    /// Every connection that entered a pool.
    entered: HashSet<ConnId>,
    moved: u64,
}

impl Model {
    pub(super) fn new() -> Self {
        let registry = Registry::new(ScopeLimits::default());
        let pools = ["a/x", "a/y", "b/x"].map(|name| pool(&registry, name));
        let [a, b] = ["a", "b"].map(|name| registry.listener(&listener(name)).unwrap());
        a.leads_to(&pools[..2]);
        b.leads_to(&pools[2..]);
        let mut model = Self {
            events: registry.events().subscribe(),
            registry,
            listeners: [a, b],
            pools,
            now: Duration::ZERO,
            slots: Vec::new(),
            connections: Vec::new(),
            moves: Vec::new(),
            limits: Default::default(),
            flows: Default::default(),
            ended: HashMap::new(),
            entered: HashSet::new(),
            moved: 0,
        };
        for scope in 0..SCOPES {
            model.put_limits(scope);
        }
        model.pass(20);
        model
    }

    pub(super) fn take(&mut self, step: &Step) {
        match *step {
            Step::ReserveAtListener(n) => self.reserve_at_listener(n % 2),
            Step::ReserveInPool(n) => self.reserve_in_pool(n % 3),
            Step::DropSlot(n) => drop(take(&mut self.slots, n)),
            Step::Open {
                slot,
                source,
                charged,
            } => self.open(slot, source, charged),
            Step::DropGuard(n) => self.drop_guard(n),
            Step::Request { guard } => self.request(guard),
            Step::Enter { guard, pool } => {
                let before = self.moves.len();
                self.reserve_move(guard, pool % 3);
                if self.moves.len() > before {
                    self.commit(before);
                }
            }
            Step::ReserveMove { guard, pool } => self.reserve_move(guard, pool % 3),
            Step::Commit(n) => self.commit(n),
            Step::Cancel(n) => drop(take(&mut self.moves, n)),
            Step::Announce { guard, source } => self.announce(guard, source),
            Step::SetLimit { scope, limit } => {
                self.limits[scope % SCOPES].connections = (limit > 0).then_some(limit);
                self.put_limits(scope % SCOPES);
            }
            Step::SetShare { scope, limit } => {
                self.limits[scope % SCOPES].share = (limit > 0).then_some(limit);
                self.put_limits(scope % SCOPES);
            }
            Step::SetRate { scope, limit } => self.set_rate(scope % SCOPES, limit),
            Step::Pass { ticks } => self.pass(ticks),
            Step::Reclaim {
                listener,
                source,
                at_most,
            } => {
                self.reclaim(listener % 2, PEERS[source % PEERS.len()], at_most);
            }
            Step::Conclude { guard, reason } => self.conclude(guard, reason),
            Step::CloseAll { pool } => self.close_all(pool % 3),
        }
    }

    /// Everything that is counted is what the lists say.
    pub(super) fn compare(&self) {
        for scope in 0..SCOPES {
            let there = match scope {
                0 => self.registry.occupancy(),
                1 | 2 => self.listeners[scope - 1].occupancy(),
                _ => self.pools[scope - FIRST_POOL].occupancy(),
            };
            let detecting = self.connections.iter().filter(|c| c.place.pool.is_none());
            let detecting = detecting.filter(|c| c.place.listener == scope).count();
            assert_eq!(
                there.active as usize,
                self.active(scope),
                "active in {scope}"
            );
            assert_eq!(
                there.reserved as usize,
                self.reserved(scope),
                "reserved in {scope}"
            );
            assert_eq!(there.detecting as usize, detecting, "detecting in {scope}");
            assert_eq!(there.limit, self.limits[scope].connections);
        }
        let charged = self.connections.iter().filter_map(|c| c.charged);
        let held = self.moves.iter().filter_map(|m| m.charged);
        let sources: HashSet<Source> = charged.chain(held).map(|p| source_of(ip(p))).collect();
        assert_eq!(self.registry.sources(), sources.len());
        assert_eq!(self.registry.records(), self.connections.len());
        // Where a newcomer of each listener is counted first: the second has one pool only.
        for (listener, scopes) in self.listeners.iter().zip([&[0, 1][..], &[0, 2, 5]]) {
            for peer in PEERS {
                let expected = self.check(scopes, peer);
                assert_eq!(
                    listener.check_source(ip(peer)),
                    expected,
                    "{peer} in {scopes:?}"
                );
            }
        }
    }

    /// Ends everything, and finds every book closed and every story told once.
    pub(super) fn finish(mut self) {
        while !self.connections.is_empty() {
            self.drop_guard(0);
            self.compare();
        }
        self.slots.clear();
        self.moves.clear();
        self.compare();
        assert_eq!((self.registry.sources(), self.registry.records()), (0, 0));
        for (pool, flow) in self.pools.iter().zip(&self.flows[FIRST_POOL..]) {
            let metrics = pool.metrics();
            let closed: u64 = metrics.closed_by_reason.iter().map(|(_, n)| n).sum();
            assert_eq!(
                (metrics.accepted, metrics.moved, closed),
                (flow.accepted, flow.moved, flow.closed)
            );
            assert_eq!(metrics.accepted, metrics.moved + closed, "nothing is open");
        }
        for (listener, flow) in self.listeners.iter().zip(&self.flows[1..]) {
            let closed: u64 = listener.closed_by_reason().iter().map(|(_, n)| n).sum();
            assert_eq!(closed, flow.closed);
        }
        self.compare_events();
    }

    fn compare_events(&mut self) {
        let (mut added, mut removed, mut moved) = (HashSet::new(), HashMap::new(), 0);
        while let Some(event) = self.events.try_next() {
            match event.kind {
                EventKind::ConnectionAdded { id, .. } => assert!(added.insert(id), "added twice"),
                EventKind::ConnectionRemoved { id, reason, .. } => {
                    assert_eq!(removed.insert(id, reason), None, "removed twice");
                }
                EventKind::ConnectionMoved { .. } => moved += 1,
                _ => {}
            }
        }
        if self.registry.events().dropped() == 0 {
            assert_eq!(added, self.entered);
            assert_eq!(removed, self.ended);
            assert_eq!(moved, self.moved);
        }
    }

    fn active(&self, scope: usize) -> usize {
        self.connections
            .iter()
            .filter(|c| c.place.scopes().any(|s| s == scope))
            .count()
    }

    fn reserved(&self, scope: usize) -> usize {
        let slots = self
            .slots
            .iter()
            .filter(|(_, place)| place.scopes().any(|s| s == scope));
        slots.count() + self.moves.iter().filter(|m| m.to == scope).count()
    }

    fn room(&self, place: Place) -> Result<(), RejectReason> {
        for scope in place.scopes() {
            let used = self.active(scope) + self.reserved(scope);
            if self.limits[scope]
                .connections
                .is_some_and(|limit| used >= limit as usize)
            {
                return Err(match scope {
                    0 => RejectReason::ProcessLimit,
                    1 | 2 => RejectReason::ListenerLimit,
                    _ => RejectReason::PoolLimit,
                });
            }
        }
        Ok(())
    }

    /// What `source` holds in `scope`.
    fn held(&self, peer: &str, scope: usize) -> usize {
        let same = |p: Option<&str>| p.is_some_and(|p| source_of(ip(p)) == source_of(ip(peer)));
        let open = self.connections.iter().filter(|c| same(c.charged));
        let open = open
            .filter(|c| c.place.scopes().any(|s| s == scope))
            .count();
        open + self
            .moves
            .iter()
            .filter(|m| same(m.charged) && m.to == scope)
            .count()
    }

    /// Whether rates and shares allow `peer` one more in each of `scopes`.
    fn check(&self, scopes: &[usize], peer: &str) -> Result<(), RejectReason> {
        let now = self.timestamp();
        if peer == EXEMPT {
            return Ok(());
        }
        let has_token = |limits: &Limits| limits.bucket.is_none_or(|mut b| b.try_take(now).is_ok());
        if !scopes.iter().all(|scope| has_token(&self.limits[*scope])) {
            return Err(RejectReason::Rate);
        }
        for scope in scopes {
            let held = self.held(peer, *scope);
            if self.limits[*scope]
                .share
                .is_some_and(|limit| held >= limit as usize)
            {
                return Err(RejectReason::IpLimit);
            }
        }
        Ok(())
    }

    /// Takes the tokens of one more in each of `scopes`, if rates and shares allow it.
    fn claim(&mut self, scopes: &[usize], peer: &str) -> Result<(), RejectReason> {
        self.check(scopes, peer)?;
        let now = self.timestamp();
        for scope in scopes.iter().filter(|_| peer != EXEMPT) {
            if let Some(bucket) = &mut self.limits[*scope].bucket {
                bucket.try_take(now).unwrap();
            }
        }
        Ok(())
    }

    fn reserve_at_listener(&mut self, n: usize) {
        let listener = n + 1;
        let (place, expected) = if n == 0 {
            let door = Place {
                listener,
                pool: None,
            };
            let pools = [3, 4].map(|pool| {
                self.room(Place {
                    listener,
                    pool: Some(pool),
                })
            });
            (door, pools[0].or(pools[1]).and_then(|()| self.room(door)))
        } else {
            let only = Place {
                listener,
                pool: Some(5),
            };
            (only, self.room(only))
        };
        self.keep_slot(self.listeners[n].reserve(), place, expected);
    }

    fn reserve_in_pool(&mut self, n: usize) {
        let pool = FIRST_POOL + n;
        let place = Place {
            listener: LISTENER_OF[pool],
            pool: Some(pool),
        };
        let expected = self.room(place);
        assert_eq!(self.pools[n].can_accept(), expected.is_ok());
        self.keep_slot(self.pools[n].reserve(), place, expected);
    }

    fn keep_slot(
        &mut self,
        taken: Result<Slot, RejectReason>,
        place: Place,
        expected: Result<(), RejectReason>,
    ) {
        assert_eq!(
            taken.as_ref().map(|_| ()).map_err(|reason| *reason),
            expected
        );
        self.slots.extend(taken.map(|slot| (slot, place)));
    }

    fn open(&mut self, slot: usize, source: usize, charged: bool) {
        let Some((slot, place)) = take(&mut self.slots, slot) else {
            return;
        };
        let peer = PEERS[source % PEERS.len()];
        let charged = charged.then_some(peer);
        let scopes: Vec<usize> = place.scopes().collect();
        let expected = charged.map_or(Ok(()), |peer| self.claim(&scopes, peer));
        let charge = if charged.is_some() {
            Charge::Peer
        } else {
            Charge::Announced
        };
        match slot.open(endpoints(peer), charge, ()) {
            Err(reason) => assert_eq!(Err(reason), expected),
            Ok(guard) => {
                assert_eq!(expected, Ok(()));
                self.flows[place.pool.unwrap_or(place.listener)].accepted += 1;
                let (told, concluded, request) = (None, None, None);
                let open = Connection {
                    guard,
                    place,
                    charged,
                    told,
                    concluded,
                    request,
                };
                self.entered.extend(place.pool.map(|_| open.id()));
                self.connections.push(open);
            }
        }
    }

    fn drop_guard(&mut self, n: usize) {
        let Some(connection) = take(&mut self.connections, n) else {
            return;
        };
        let reason = connection
            .concluded
            .or(connection.told)
            .unwrap_or(CloseReason::Completed);
        self.ended.insert(connection.id(), reason);
        let Place { listener, pool } = connection.place;
        self.flows[pool.unwrap_or(listener)].closed += 1;
    }

    fn request(&mut self, n: usize) {
        let Some(connection) = pick(&mut self.connections, n) else {
            return;
        };
        if let Some(pool) = connection.place.pool {
            let handle = connection.guard.handle();
            connection.request = match connection.request.take() {
                Some(_over) => None,
                None => Some(handle.begin_request(&self.pools[pool - FIRST_POOL])),
            };
        }
    }

    fn reserve_move(&mut self, guard: usize, pool: usize) {
        let Some(connection) = pick(&mut self.connections, guard) else {
            return;
        };
        let (handle, place) = (connection.guard.handle(), connection.place);
        let (charged, to) = (connection.charged, FIRST_POOL + pool);
        let alone = Place {
            listener: 0,
            pool: Some(to),
        };
        let expected = if LISTENER_OF[to] != place.listener {
            Err(RejectReason::Invalid)
        } else if let Err(RejectReason::PoolLimit) = self.room_in_pool_only(alone) {
            Err(RejectReason::PoolLimit)
        } else {
            charged.map_or(Ok(()), |peer| self.claim(&[to], peer))
        };
        match handle.reserve_move(&self.pools[pool]) {
            Err(reason) => assert_eq!(Err(reason), expected),
            Ok(reservation) => {
                assert_eq!(expected, Ok(()));
                self.moves.push(Move {
                    reservation,
                    id: handle.id(),
                    to,
                    charged,
                });
            }
        }
    }

    fn room_in_pool_only(&self, place: Place) -> Result<(), RejectReason> {
        let scope = place.pool.unwrap();
        let used = self.active(scope) + self.reserved(scope);
        match self.limits[scope].connections {
            Some(limit) if used >= limit as usize => Err(RejectReason::PoolLimit),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, n: usize) {
        let Some(Move {
            reservation,
            id,
            to,
            ..
        }) = take(&mut self.moves, n)
        else {
            return;
        };
        reservation.commit();
        let Some(connection) = self.connections.iter_mut().find(|c| c.id() == id) else {
            return;
        };
        let from = connection.place.pool;
        if from == Some(to) {
            return;
        }
        self.flows[from.unwrap_or(connection.place.listener)].moved += 1;
        self.flows[to].accepted += 1;
        connection.place.pool = Some(to);
        self.entered.insert(id);
        self.moved += u64::from(from.is_some());
    }

    fn announce(&mut self, guard: usize, source: usize) {
        let peer = PEERS[source % PEERS.len()];
        let Some(connection) = pick(&mut self.connections, guard) else {
            return;
        };
        connection.charged = None;
        let (id, handle) = (connection.id(), connection.guard.handle());
        let scopes: Vec<usize> = connection.place.scopes().collect();
        let expected = self.claim(&scopes, peer);
        let announced = handle.announce(std::net::SocketAddr::new(ip(peer), 1));
        assert_eq!(announced, expected);
        if announced.is_ok() {
            self.connections
                .iter_mut()
                .find(|c| c.id() == id)
                .unwrap()
                .charged = Some(peer);
        }
    }

    fn set_rate(&mut self, scope: usize, rate: u32) {
        let now = self.timestamp();
        let limits = &mut self.limits[scope];
        limits.rate = (rate > 0).then_some(rate);
        let per_second = PerSecond::new(rate).map(PerSecond::get);
        limits.bucket = match (limits.bucket, per_second) {
            (_, None) => None,
            (None, Some(rate)) => Some(TokenBucket::new(rate, now)),
            (Some(mut bucket), Some(rate)) => {
                bucket.set_rate(rate, now);
                Some(bucket)
            }
        };
        self.put_limits(scope);
    }

    /// Puts the model's limits of a scope in force, and notes who is asked to leave over them.
    fn put_limits(&mut self, scope: usize) {
        let Limits {
            connections,
            share,
            rate,
            ..
        } = self.limits[scope];
        if scope < FIRST_POOL {
            let mut limits = ScopeLimits::default();
            limits.max_connections = connections.and_then(Count::new);
            limits.max_connections_per_ip = share.and_then(Count::new);
            limits.accept_rate = rate.and_then(PerSecond::new);
            limits.exempt = vec![EXEMPT.parse().unwrap()];
            match scope {
                0 => self.registry.update_limits(limits),
                _ => self.listeners[scope - 1].update_limits(limits),
            }
        } else {
            let number = |n: Option<u32>| n.map_or(Value::Off, |n| Value::from(i64::from(n)));
            let mut all = patch("max_connections", number(connections));
            all.set("max_connections_per_ip", &number(share)).unwrap();
            all.set("accept_rate", &number(rate)).unwrap();
            all.set("exempt", &Value::List(vec![Value::text(EXEMPT)]))
                .unwrap();
            self.pools[scope - FIRST_POOL].update_config(&all).unwrap();
        }
        let over = self.excess(scope);
        let asked = self.note_reclaimed(|place| place.scopes().any(|s| s == scope));
        assert!(asked <= over, "{asked} of {over}");
    }

    /// By how many a scope holds more than it may, those that are leaving not counted.
    fn excess(&self, scope: usize) -> usize {
        let staying = |c: &&Connection| c.told.is_none() && c.place.scopes().any(|s| s == scope);
        let staying = self.connections.iter().filter(staying).count();
        let limit = self.limits[scope].connections;
        staying.saturating_sub(limit.map_or(usize::MAX, |limit| limit as usize))
    }

    fn reclaim(&mut self, n: usize, peer: &str, at_most: usize) {
        let listener = n + 1;
        let full = [
            RejectReason::ProcessLimit,
            RejectReason::ListenerLimit,
            RejectReason::Rate,
        ];
        let full = full[at_most % full.len()];
        let asked = self.listeners[n].reclaim(ip(peer), full, at_most);
        let noted = self.note_reclaimed(|place| match full {
            RejectReason::ProcessLimit => true,
            _ => place.listener == listener,
        });
        assert_eq!(asked, noted);
        assert!(asked <= at_most && (full != RejectReason::Rate || asked == 0));
    }

    /// Notes who has been asked to leave since: only such as may be.
    fn note_reclaimed(&mut self, in_scope: impl Fn(Place) -> bool) -> usize {
        let mut asked = 0;
        for connection in &mut self.connections {
            let told = connection.guard.handle().command().map(Command::reason);
            if told != connection.told {
                assert_eq!(
                    (connection.told, told),
                    (None, Some(CloseReason::Reclaimed))
                );
                assert!(in_scope(connection.place) && connection.request.is_none());
                connection.told = told;
                asked += 1;
            }
        }
        asked
    }

    fn conclude(&mut self, guard: usize, reason: CloseReason) {
        let Some(connection) = pick(&mut self.connections, guard) else {
            return;
        };
        let first = connection.guard.handle().conclude(reason);
        assert_eq!(first, connection.concluded.is_none());
        connection.concluded.get_or_insert(reason);
    }

    fn close_all(&mut self, pool: usize) {
        let here = |c: &&mut Connection| c.place.pool == Some(FIRST_POOL + pool);
        let mut asked = 0;
        for connection in self.connections.iter_mut().filter(here) {
            connection.told.get_or_insert(CloseReason::Drained);
            asked += 1;
        }
        assert_eq!(self.pools[pool].close_all(CloseReason::Drained), asked);
    }

    fn pass(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.now += TICK;
            let over: [usize; SCOPES] = std::array::from_fn(|scope| self.excess(scope));
            self.registry.tick(self.timestamp(), Duration::ZERO);
            let asked = self.note_reclaimed(|place| place.scopes().any(|s| over[s] > 0));
            assert!(asked <= over.iter().sum(), "{asked} of {over:?}");
        }
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::after_start(self.now)
    }
}

fn pick<T>(items: &mut [T], n: usize) -> Option<&mut T> {
    let len = items.len();
    (len > 0).then(|| &mut items[n % len])
}

fn take<T>(items: &mut Vec<T>, n: usize) -> Option<T> {
    let len = items.len();
    (len > 0).then(|| items.swap_remove(n % len))
}
