//! A configuration changes whole or not at all, at once, and says what it changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use wharf_pool::config::{
    BadValue, CommonSettings, Count, PoolConfig, PoolPatch, SetError, Setting, Settings, Value,
};
use wharf_pool::events::EventKind;
use wharf_pool::{
    CloseReason, Command, Connection, Control, Endpoints, Invalid, Outcome, Registry,
    RegistryError, RejectReason, ScopeLimits, Timestamp,
};

use crate::world::{World, endpoints, listener, patch};

wharf_pool::settings! {
    /// Settings of a protocol with a rule of its own.
    pub(crate) struct LineSettings, LinePatch {
        /// The longest line.
        max_line: Option<Count> = None, NextConnection;
        /// Whether to greet.
        greet: bool = true, Now;
    }
}

/// A connection of that protocol, which refuses one port and counts its goodbyes.
#[derive(Default)]
struct Line {
    goodbyes: AtomicUsize,
}

impl Connection for Line {
    type Settings = LineSettings;

    fn memory(_: &LineSettings) -> u64 {
        100
    }

    fn validate(
        &self,
        endpoints: &Endpoints,
        config: &PoolConfig<LineSettings>,
    ) -> Result<(), Invalid> {
        let wanted = config.protocol.greet || endpoints.peer.0.port() != 4711;
        if wanted {
            Ok(())
        } else {
            Err(Invalid("its port"))
        }
    }

    fn begin_close(&self, control: &Control, reason: CloseReason) {
        self.goodbyes.fetch_add(1, Ordering::Relaxed);
        control.finish(reason);
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_patch_is_in_force_whole_and_tells_what_it_changed() {
    let world = World::new();
    let mut events = world.registry.events().subscribe();
    let mut change = patch("max_connections", 3_i64);
    change
        .set("keep_alive_timeout", &Value::text("10s"))
        .unwrap();
    change.set("max_age", &Value::Off).unwrap();
    let differences = world.pool.update_config(&change).unwrap();
    let told: Vec<_> = differences
        .iter()
        .map(|d| (d.key.name, &d.old, &d.new))
        .collect();
    assert_eq!(
        told,
        [
            ("max_connections", &Value::Off, &Value::Integer(3)),
            (
                "keep_alive_timeout",
                &Value::text("75s"),
                &Value::text("10s")
            ),
        ],
        "what stays as it was is no difference"
    );
    assert_eq!(world.pool.occupancy().limit, Some(3));
    assert_eq!(world.pool.generation(), 1);
    let event = events.try_next().unwrap();
    assert!(matches!(event.kind, EventKind::ConfigChanged { differences: d } if *d == differences));

    assert_eq!(world.pool.update_config(&change).unwrap(), []);
    assert_eq!(
        (world.pool.generation(), events.try_next().is_none()),
        (1, true)
    );
}

#[test]
fn a_bad_value_changes_nothing_and_says_what_to_write() {
    let mut change: PoolPatch = patch("max_connections", 3_i64);
    let error = change
        .set("keep_alive_timeout", &Value::Integer(10))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "keep_alive_timeout: 10 is not a value for it: \
         write a duration with its unit, from \"1ms\" to \"366d\""
    );
    let error = change
        .set("max_conections", &Value::Integer(10))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown key \"max_conections\": did you mean \"max_connections\"?"
    );
}

/// Settings that contradict each other in one combination.
#[derive(Clone, Debug, Default, PartialEq)]
struct Strict(LineSettings);

impl Settings for Strict {
    type Patch = LinePatch;

    fn patch(&self) -> LinePatch {
        self.0.patch()
    }

    fn values(&self) -> Vec<(wharf_pool::config::Key, Value)> {
        self.0.values()
    }

    fn apply(&mut self, patch: &LinePatch) {
        self.0.apply(patch);
    }

    fn problems(&self) -> Vec<SetError> {
        let bad = |key, value: &dyn Fn() -> Value, remedy: &str| SetError::BadValue {
            key,
            bad: BadValue::new(&value(), remedy),
        };
        if self.0.greet || self.0.max_line.is_some() {
            return Vec::new();
        }
        vec![
            bad("greet", &|| self.0.greet.write(), "true without max_line"),
            bad(
                "max_line",
                &|| self.0.max_line.write(),
                "a number without greet",
            ),
        ]
    }
}

struct StrictLine;

impl Connection for StrictLine {
    type Settings = Strict;
}

#[test]
fn a_patch_that_makes_no_sense_as_a_whole_changes_nothing_at_all() {
    let registry = Registry::<StrictLine>::new(ScopeLimits::default());
    let name = "test/strict".parse().unwrap();
    let pool = registry
        .get_or_create(&name, PoolConfig::default())
        .unwrap();
    let before = pool.config();
    let mut change = PoolPatch::<Strict>::default();
    change.set("max_connections", &Value::Integer(5)).unwrap();
    change.set("greet", &Value::Bool(false)).unwrap();
    assert_eq!(
        pool.update_config(&change).unwrap_err().len(),
        2,
        "every problem is named"
    );
    assert_eq!(
        (pool.config(), pool.occupancy().limit, pool.generation()),
        (before, None, 0)
    );
    change.set("max_line", &Value::Integer(80)).unwrap();
    assert_eq!(pool.update_config(&change).unwrap().len(), 3);
    assert_eq!(pool.occupancy().limit, Some(5));

    let nonsense = PoolConfig::new(
        CommonSettings::default(),
        Strict(LineSettings {
            max_line: None,
            greet: false,
        }),
    );
    assert_eq!(pool.set_config(nonsense.clone()).unwrap_err().len(), 2);
    assert_eq!(pool.occupancy().limit, Some(5));
    let other = "test/other".parse().unwrap();
    let error = registry.get_or_create(&other, nonsense).unwrap_err();
    assert!(matches!(error, RegistryError::BadConfig { problems, .. } if problems.len() == 2));
    assert!(registry.get(&other).is_none());
}

#[test]
fn a_change_wakes_live_connections_so_that_new_deadlines_hold_at_once() {
    let mut world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    let (handle, count) = (guard.handle(), Arc::new(Wakes::default()));
    let waker = Waker::from(Arc::clone(&count));
    let woken = |expected: usize| assert_eq!(count.0.load(Ordering::Relaxed), expected);
    let deadline = || {
        handle.control().register(&Context::from_waker(&waker));
        let timeout = world.pool.config().common.keep_alive_timeout;
        handle.set_deadline(handle.opened().after(timeout));
    };
    deadline();
    world.set("keep_alive_timeout", "2s");
    woken(1);
    deadline();
    world.pass(Duration::from_millis(1_900));
    woken(1);
    world.pass(Duration::from_millis(500));
    woken(2);
    handle.control().register(&Context::from_waker(&waker));
    handle.set_deadline(world.now().after(Duration::from_secs(1)));
    handle.set_deadline(Timestamp::MAX);
    world.pass(Duration::from_secs(5));
    woken(2);
}

#[test]
fn a_pool_asked_for_again_is_the_same_and_with_another_configuration_an_error_that_says_so() {
    let world = World::new();
    let name = world.pool.name().clone();
    let again = world
        .registry
        .get_or_create(&name, PoolConfig::default())
        .unwrap();
    let guard = world.open("10.0.0.1").unwrap();
    assert_eq!(again.active(), 1);
    let mut config = PoolConfig::default();
    config.common.max_connections = Count::new(7);
    config.common.max_age = Some(Duration::from_mins(1));
    let error = world.registry.get_or_create(&name, config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool test/line exists with another max_connections, max_age: \
         change it with update_config, or ask with the same"
    );
    assert_eq!(world.registry.all().len(), 1);
    drop(guard);
}

#[test]
fn a_forgotten_listener_gives_its_names_back_and_its_connections_go_on() {
    let world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    world.registry.forget_listener(&listener("test"));
    assert!(world.registry.get(world.pool.name()).is_none());
    let again = world
        .registry
        .add_listener(&listener("test"), ScopeLimits::default())
        .unwrap();
    assert!(
        world
            .registry
            .add_listener(&listener("test"), ScopeLimits::default())
            .is_err()
    );
    assert_eq!(
        (again.occupancy().active, world.registry.occupancy().active),
        (0, 1)
    );
    assert_eq!(
        world.registry.connection(guard.handle().id()).unwrap().id(),
        guard.handle().id()
    );
    drop(guard);
    assert_eq!(
        (world.pool.active(), world.registry.occupancy().active),
        (0, 0)
    );
}

#[test]
fn a_protocol_brings_its_own_settings_checks_and_goodbye() {
    let registry = Registry::<Line>::new(ScopeLimits::default());
    let config = PoolConfig::new(CommonSettings::default(), LineSettings::default());
    let pool = registry
        .get_or_create(&"test/line".parse().unwrap(), config)
        .unwrap();
    let guard = pool.add(endpoints("10.0.0.1"), Line::default()).unwrap();
    assert_eq!(pool.metrics().performance.memory_usage, 100);
    assert!(pool.remove(guard.handle().id(), CloseReason::Admin));
    assert_eq!(
        guard.handle().command(),
        Some(Command::Finish(CloseReason::Admin))
    );
    assert_eq!(
        guard.handle().connection().goodbyes.load(Ordering::Relaxed),
        1
    );

    let mut change = PoolPatch::<LineSettings>::default();
    change.set("greet", &Value::Bool(false)).unwrap();
    let [difference] = pool.update_config(&change).unwrap().try_into().unwrap();
    assert_eq!(
        (difference.key.name, difference.key.applies.as_str()),
        ("greet", "now")
    );
    assert_eq!(
        pool.add(endpoints("10.0.0.1"), Line::default())
            .unwrap_err(),
        RejectReason::Invalid
    );
    assert_eq!(pool.occupancy().reserved, 0);
    guard
        .handle()
        .begin_request(&pool)
        .end(Outcome::Success, Duration::ZERO);
    let id = guard.handle().id();
    drop(guard);
    assert!(!pool.remove(id, CloseReason::Admin), "it is gone");
    let closed = pool.metrics().closed_by_reason;
    let ended: Vec<_> = closed.into_iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(ended, [(CloseReason::Admin, 1)]);
}
