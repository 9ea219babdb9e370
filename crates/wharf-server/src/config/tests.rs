//! Files are refused with every fault at its place, and read as they are meant.

use std::path::Path;

use proptest::prelude::*;

use super::groups::{AdminSettings, ListenerLimits};
use super::report::place;
use super::upstream::Choice;
use super::*;
use wharf_http::{
    GrpcSettings, Http2Settings, HttpSettings, HttpsSettings, TcpSettings, WebSocketSettings,
};
use wharf_pool::config::CommonSettings;
use wharf_upstream::{HealthCheckSettings, OutlierSettings};

/// The shortest file that can be served; what is broken goes below it.
const WHOLE: &str =
    "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http\"]\n";

fn parse(source: &str) -> Result<Config, Problems> {
    Config::parse(source, Path::new("/nowhere"))
}

/// What was wrong: line, column, key, reason and remedy.
fn faults(source: &str) -> Vec<(usize, usize, String, String, String)> {
    let Err(problems) = parse(source) else {
        return Vec::new();
    };
    let told = problems.list.into_iter().map(
        |Problem {
             at,
             key,
             reason,
             remedy,
         }| {
            let (line, column) = place(source, at);
            (line, column, key, reason, remedy)
        },
    );
    told.collect()
}

/// Appended to [`WHOLE`] (whose last line is 4): line, column, key, and words of the remedy.
const BROKEN: &[(&str, (usize, usize), &str, &str)] = &[
    (
        "max_conections = 5",
        (5, 1),
        "listener[0].max_conections",
        "\"max_connections\"",
    ),
    (
        "max_connections = 0",
        (5, 19),
        "listener[0].max_connections",
        "a number from 1",
    ),
    (
        "max_connections = \"many\"",
        (5, 19),
        "listener[0].max_connections",
        "a number from 1",
    ),
    (
        "accept_rate = \"fast\"",
        (5, 15),
        "listener[0].accept_rate",
        "such as 100",
    ),
    (
        "exempt = \"10.0.0.0/8\"",
        (5, 10),
        "listener[0].exempt",
        "[\"10.0.0.0/8\"]",
    ),
    (
        "exempt = [\"10.0.0.0/99\"]",
        (5, 10),
        "listener[0].exempt",
        "[\"10.0.0.0/8\"]",
    ),
    (
        "backlog = true",
        (5, 11),
        "listener[0].backlog",
        "a number from 1",
    ),
    (
        "nodelay = \"yes\"",
        (5, 11),
        "listener[0].nodelay",
        "true or false",
    ),
    (
        "user_timeout = 30",
        (5, 16),
        "listener[0].user_timeout",
        "with its unit",
    ),
    (
        "tls = { self_signed = true }",
        (4, 13),
        "listener[0].protocols",
        "\"https\" instead",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]\ntls = { certificate = \"a\" }",
        (9, 7),
        "listener[1].tls.key",
        "self_signed = true",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]\n\
         tls = { certificates = [] }",
        (9, 24),
        "listener[1].tls.certificates",
        "key = \"a.key\"",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]\n\
         tls = { self_signed = \"yes\" }",
        (9, 23),
        "listener[1].tls.self_signed",
        "true",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]\n\
         tls = { self_signed = true, client_auth = \"optional\" }",
        (9, 29),
        "listener[1].tls.client_auth",
        "client_ca",
    ),
    (
        "proxy_protocol = true",
        (5, 18),
        "listener[0].proxy_protocol",
        "[listener.proxy_protocol]",
    ),
    (
        "proxy_protocol = {}",
        (5, 18),
        "listener[0].proxy_protocol.trusted",
        "trusted = [",
    ),
    (
        "proxy_protocol = { trusted = [] }",
        (5, 30),
        "listener[0].proxy_protocol.trusted",
        "10.",
    ),
    (
        "[listener.pools.https]",
        (5, 17),
        "listener[0].pools.https",
        "add \"https\" to protocols",
    ),
    (
        "[listener.pools.htp]",
        (5, 17),
        "listener[0].pools.htp",
        "\"http\"",
    ),
    (
        "[listener.pools.http]\nkeep_alive_timeout = 75",
        (6, 22),
        "listener[0].pools.http.keep_alive_timeout",
        "from \"1ms\" to \"366d\"",
    ),
    (
        "[listener.pools.http]\nmax_header_size = 32768",
        (6, 19),
        "listener[0].pools.http.max_header_size",
        "\"64KiB\"",
    ),
    (
        "[listener.pools.http]\nping_interval = \"1s\"",
        (6, 1),
        "listener[0].pools.http.ping_interval",
        "the keys here are max_connections",
    ),
    (
        "[listener.pools.http]\nwhen_full = \"explode\"",
        (6, 13),
        "listener[0].pools.http.when_full",
        "\"reclaim\", \"refuse\" or \"wait\"",
    ),
    (
        "[pools.http]\nmin_data_rate = 240",
        (6, 17),
        "pools.http.min_data_rate",
        "\"240B/s\"",
    ),
    (
        "[pools.websocket]\nallowed_origins = [\"app.example\"]",
        (6, 19),
        "pools.websocket.allowed_origins",
        "\"any\" or a list",
    ),
    (
        "[pools.websocket]\nslow_consumer = \"wait\"",
        (6, 17),
        "pools.websocket.slow_consumer",
        "\"close\" or \"drop_oldest\"",
    ),
    (
        "[pools.http2]\nmax_header_size = \"1KiB\"",
        (6, 1),
        "pools.http2.max_header_size",
        "max_headers",
    ),
    ("[pool.http]", (5, 2), "pool", "\"pools\""),
    (
        "[server]\ndrain_timeout = \"30\"",
        (6, 17),
        "server.drain_timeout",
        "with its unit",
    ),
    (
        "[server]\nworkers = 0",
        (6, 11),
        "server.workers",
        "or \"auto\"",
    ),
    (
        "[limits]\nmemory = 2",
        (6, 10),
        "limits.memory",
        "a size with its unit",
    ),
    (
        "[admin]\naddress = \"0.0.0.0:9900\"",
        (5, 1),
        "admin.token_file",
        "write token_file",
    ),
    (
        "[admin]\ntoken_file = \"missing\"",
        (6, 1),
        "admin.token_file",
        "at least 16 characters",
    ),
    (
        "[admin]\ntoken_file = \"env:WHARF_THAT_IS_NOT_THERE\"",
        (6, 1),
        "admin.token_file",
        "at least 16 characters",
    ),
    (
        "[admin]\naddress = \"unix:/run/wharf.sock\"\ntls = { self_signed = true }",
        (7, 1),
        "admin.tls",
        "leave it out",
    ),
    (
        "[admin]\ntls = { certificate = \"a.crt\" }",
        (6, 7),
        "admin.tls.key",
        "key = \"server.key\"",
    ),
    (
        "[admin]\naddress = \"unix:wharf.sock\"",
        (6, 11),
        "admin.address",
        "unix:/run/wharf.sock",
    ),
    (
        "[admin]\nallowed_hosts = [\"a b\"]",
        (6, 17),
        "admin.allowed_hosts",
        "host names",
    ),
    (
        "[log]\nlevel = \"loud\"",
        (6, 9),
        "log.level",
        "\"error\", \"warn\", \"info\" or \"debug\"",
    ),
    (
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http\"]",
        (5, 1),
        "listener[1].name",
        "its own name",
    ),
    (
        "[[listener]]\nname = \"Web\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http\"]",
        (6, 8),
        "listener[1].name",
        "1 to 32 of a-z",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"localhost:80\"\nprotocols = [\"http\"]",
        (7, 11),
        "listener[1].address",
        "an IP address and a port",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"",
        (5, 1),
        "listener[1].protocols",
        "protocols = [\"http\"]",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = []",
        (8, 13),
        "listener[1].protocols",
        "protocols = [\"http\"]",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"websocket\"]",
        (8, 13),
        "listener[1].protocols",
        "add \"http\"",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]",
        (8, 13),
        "listener[1].protocols",
        "write \"http\" instead",
    ),
    (
        "[[listener]]\nname = \"b\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"htp\"]",
        (8, 14),
        "listener[1].protocols",
        "\"http\"",
    ),
    (
        "[[route]]\npath = \"/\"",
        (5, 1),
        "route[0].app",
        "app = \"demo\"",
    ),
    (
        "[[route]]\napp = \"other\"",
        (6, 7),
        "route[0].app",
        "app = \"demo\"",
    ),
    (
        "[[route]]\nlistener = \"wob\"\napp = \"demo\"",
        (6, 12),
        "route[0].listener",
        "one of web",
    ),
    (
        "[[route]]\npath = \"api\"\napp = \"demo\"",
        (6, 8),
        "route[0].path",
        "a slash",
    ),
    (
        "[[route]]\nrespond = { status = 99 }",
        (6, 22),
        "route[0].respond.status",
        "200 to 599",
    ),
    (
        "[[route]]\nredirect = \"http\"",
        (6, 12),
        "route[0].redirect",
        "\"https:8443\"",
    ),
    (
        "[[route]]\nredirect = \"https\"\napp = \"demo\"",
        (7, 1),
        "route[0].app",
        "or redirect = \"https\"",
    ),
    (
        "[[listener]]\nname = \"s\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"https\"]\n\
         tls = { self_signed = true }\n[[route]]\nlistener = \"s\"\nredirect = \"https\"",
        (12, 1),
        "route[0].redirect",
        "leave listener out",
    ),
    (
        "[[route]]\nupstream = \"api\"",
        (6, 12),
        "route[0].upstream",
        "[[upstream]] with name = \"api\"",
    ),
    (
        "[[route]]\napp = \"demo\"\nstrip_prefix = true",
        (7, 1),
        "route[0].strip_prefix",
        "the keys here are",
    ),
    (
        "route = 1",
        (5, 1),
        "listener[0].route",
        "the keys here are",
    ),
    (
        "max_connections = ",
        (5, 19),
        "max_connections",
        "https://toml.io",
    ),
    ("and so on", (5, 5), "", "https://toml.io"),
    (
        "max_connections = 5\nmax_connections = 6",
        (6, 1),
        "max_connections",
        "leave one of the two out",
    ),
];

#[test]
fn each_fault_is_told_with_its_place_key_and_remedy() {
    for (broken, (line, column), key, remedy) in BROKEN {
        let found = faults(&format!("{WHOLE}{broken}\n"));
        assert_eq!(found.len(), 1, "{broken}: {found:?}");
        let (l, c, k, reason, r) = &found[0];
        assert_eq!(
            (l, c, k.as_str()),
            (line, column, *key),
            "{broken}: {reason}"
        );
        assert!(
            r.contains(remedy) && !reason.is_empty(),
            "{broken}: {reason}: {r}"
        );
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let found = faults("[server]\nworkers = 0\ndrain = \"1s\"\n[log]\nlevel = 1\n[[listener]]\n");
    let keys: Vec<_> = found.iter().map(|fault| fault.2.as_str()).collect();
    assert_eq!(
        keys,
        [
            "server.workers",
            "server.drain",
            "log.level",
            "listener[0].name",
            "listener[0].address",
            "listener[0].protocols"
        ]
    );
}

#[test]
fn a_key_that_is_there_twice_hides_no_other_fault() {
    let found = faults(&format!(
        "{WHOLE}backlog = 5\nbacklog = 6\nnodelay = 7\n[log]\n[log]\n"
    ));
    let keys: Vec<_> = found
        .iter()
        .map(|fault| (fault.0, fault.2.as_str()))
        .collect();
    assert_eq!(
        keys,
        [(6, "backlog"), (7, "listener[0].nodelay"), (9, "log")]
    );
}

#[test]
fn a_fault_of_a_listener_is_not_told_again_for_its_routes() {
    let broken = WHOLE.replace("127.0.0.1:0", "nowhere");
    let found = faults(&format!(
        "{broken}[[route]]\nlistener = \"web\"\napp = \"demo\"\n"
    ));
    let keys: Vec<_> = found.iter().map(|fault| fault.2.as_str()).collect();
    assert_eq!(keys, ["listener[0].address"]);
}

#[test]
fn a_redirect_leads_to_the_first_port_of_https_and_is_not_for_those_who_are_there() {
    let secured = "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:8443\"\n\
                   protocols = [\"https\"]\ntls = { self_signed = true }\n";
    let redirect = "[[route]]\nredirect = \"https\"\n[[route]]\nlistener = \"web\"\n\
                    redirect = \"https:1\"\n";
    let of = |config: &Config, listener| {
        let routes = config.routes_of(&ListenerName::new(listener).unwrap());
        routes
            .into_iter()
            .map(|route| route.target)
            .collect::<Vec<_>>()
    };
    let to = |port| Target::Redirect { port };
    let config = parse(&format!("{WHOLE}{secured}{redirect}")).unwrap();
    assert_eq!(of(&config, "web"), [to(8443), to(1)]);
    assert_eq!(of(&config, "tls"), []);
    let without = parse(&format!("{WHOLE}{redirect}")).unwrap();
    assert_eq!(of(&without, "web"), [to(443), to(1)]);
}

#[test]
fn an_empty_file_is_told_what_is_missing() {
    for empty in ["", "# nothing\n"] {
        let found = faults(empty);
        assert_eq!((found.len(), found[0].2.as_str()), (1, "listener"));
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_read_and_never_more() {
    let example = include_str!("../../../../wharf.example.toml");
    for end in (0..example.len())
        .filter(|end| example.is_char_boundary(*end))
        .step_by(7)
    {
        parse(&example[..end]).map(drop).ok();
    }
}

#[test]
fn a_hostile_file_is_refused_quickly_and_briefly() {
    let many = (0..50_000).fold(String::new(), |many, n| {
        many + "k" + &n.to_string() + " = 1\n"
    });
    let problems = parse(&many).unwrap_err();
    assert!(problems.list.len() <= 100 && problems.untold > 40_000);
    let deep = format!("a = {}1", "[".repeat(100_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn a_listeners_pool_starts_from_the_common_one() {
    let config = parse(&format!(
        "[pools.http]\nmax_requests = 7\nmax_age = \"1h\"\n{WHOLE}[listener.pools.http]\nmax_age = \"off\"\n"
    ))
    .unwrap();
    let pool = &config.listeners[0].pools[0].1.common;
    assert_eq!(
        pool.max_requests.map(wharf_pool::config::Count::get),
        Some(7)
    );
    assert_eq!(pool.max_age, None);
}

#[test]
fn the_first_route_that_matches_answers_and_without_routes_the_demo() {
    let web = ListenerName::new("web").unwrap();
    assert_eq!(
        parse(WHOLE).unwrap().routes_of(&web),
        [Route::everything_to_demo()]
    );
    let routes =
        "[[route]]\npath = \"/up\"\nrespond = { body = \"ok\" }\n[[route]]\napp = \"demo\"\n";
    let config = parse(&format!("{WHOLE}{routes}")).unwrap();
    let targets: Vec<_> = config
        .routes_of(&web)
        .into_iter()
        .map(|route| route.target)
        .collect();
    let ok = Target::Respond {
        status: http::StatusCode::OK,
        body: "ok".to_owned(),
    };
    assert_eq!(targets, [ok, Target::Demo]);
}

#[test]
fn the_demo_and_the_effective_settings_can_be_read() {
    let demo = Config::demo().unwrap();
    assert_eq!(demo.listeners[0].address.to_string(), "127.0.0.1:8080");
    let example = include_str!("../../../../wharf.example.toml");
    for config in [demo, parse(example).unwrap()] {
        let text = effective(&config, Some("wharf.toml"));
        let again = parse(&text)
            .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render("effective", &text)));
        assert_eq!(again.listeners, config.listeners);
        assert_eq!(again.routes, config.routes);
        assert_eq!(again.log, config.log);
    }
}

#[test]
fn a_door_with_tls_a_redirect_and_a_dry_run_are_shown_as_they_can_be_read() {
    let source = format!(
        "[admin]\ntls = {{ self_signed = true }}\n[limits]\nmemory = \"64MiB\"\n{WHOLE}\
         dry_run = [\"accept_rate\"]\n[listener.pools.http]\ndry_run = [\"max_age\"]\n\
         [[route]]\nredirect = \"https:8443\"\n"
    );
    let config = parse(&source).unwrap();
    let text = effective(&config, Some("wharf.toml"));
    let again = parse(&text)
        .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render("effective", &text)));
    assert_eq!(
        (&again.admin, &again.routes),
        (&config.admin, &config.routes)
    );
    assert_eq!(again.listeners, config.listeners);
    // Without a number of connections, memory decides.
    assert!(text.contains("max_connections = 512 "), "{text}");
}

#[test]
fn the_effective_settings_say_where_each_comes_from() {
    let file =
        format!("[pools.http]\nmax_requests = 7\n{WHOLE}[listener.pools.http]\nmax_age = \"1h\"\n");
    let text = effective(&parse(&file).unwrap(), Some("wharf.toml"));
    let source = |setting: &str| {
        let line = text
            .lines()
            .rev()
            .find(|line| line.starts_with(setting))
            .unwrap();
        line.split_once("# ").unwrap().1.to_owned()
    };
    assert_eq!(source("max_requests"), "file, wharf.toml:2, [pools.http]");
    assert_eq!(source("max_age "), "file, wharf.toml:8");
    assert_eq!(source("max_headers"), "default");
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let config = parse(include_str!("../../../../wharf.example.toml")).unwrap();
    let groups = [
        ("server", ServerSettings::KEYS),
        ("admin", AdminSettings::KEYS),
        ("log", LogSettings::KEYS),
        ("limits", ProcessLimits::KEYS),
        ("limits.requests", RequestLimits::KEYS),
        ("limits.requests.sources", SourcePriorities::KEYS),
        ("pools.http", CommonSettings::KEYS),
        ("pools.http", HttpSettings::KEYS),
        ("pools.https", CommonSettings::KEYS),
        ("pools.https", HttpsSettings::KEYS),
        ("pools.http2", CommonSettings::KEYS),
        ("pools.http2", Http2Settings::KEYS),
        ("pools.grpc", CommonSettings::KEYS),
        ("pools.grpc", GrpcSettings::KEYS),
        ("pools.websocket", CommonSettings::KEYS),
        ("pools.websocket", WebSocketSettings::KEYS),
        ("listener[0]", ListenerLimits::KEYS),
        ("listener[0]", TcpSettings::KEYS),
        ("route[1]", ForwardSettings::KEYS),
        ("upstream[0]", Choice::KEYS),
        ("upstream[0].pool", wharf_upstream::PoolSettings::KEYS),
        ("upstream[0].health_check", HealthCheckSettings::KEYS),
        ("upstream[0].outlier", OutlierSettings::KEYS),
    ];
    for (section, keys) in groups {
        for key in keys {
            let path = format!("{section}.{}", key.name);
            assert!(
                config.origins.of(&path).is_some(),
                "the example lacks {path}"
            );
        }
    }
    assert_eq!(config.server, ServerSettings::default());
    assert_eq!(config.admin.settings, AdminSettings::default());
    assert_eq!(config.log, LogSettings::default());
    assert_eq!(config.limits, ProcessLimits::default());
    assert_eq!(config.requests, RequestLimits::default());
    assert_eq!(config.priorities, SourcePriorities::default());
    assert_eq!(config.base, BasePools::default());
    assert_eq!(config.listeners[0].limits, ListenerLimits::default());
    assert_eq!(config.listeners[0].tcp, TcpSettings::default());
    let Target::Upstream(forward) = &config.routes[1].target else {
        panic!("the second route has no upstream");
    };
    assert_eq!(forward.settings, ForwardSettings::default());
    assert_eq!(config.upstreams[0].choice, Choice::default());
    let pool = wharf_upstream::PoolSettings::defaults();
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.pool, pool);
    assert_eq!(upstream.health_check, Some(HealthCheckSettings::default()));
    assert_eq!(upstream.outlier, OutlierSettings::default());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..Default::default() })]

    /// Pieces of the example are taken out, repeated, and put elsewhere, with nonsense between them.
    #[test]
    fn whatever_is_written_it_is_taken_or_refused_at_places_that_are_there(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..80_usize, any::<prop::sample::Index>(), "\\PC{0,6}"), 1..6),
        tail in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<char> = include_str!("../../../../wharf.example.toml").chars().collect();
        for (from, length, to, nonsense) in edits {
            let from = from.index(text.len());
            let end = (from + length).min(text.len());
            let piece: Vec<_> = text.drain(from..end).collect();
            let to = to.index(text.len() + 1);
            text.splice(to..to, piece.into_iter().chain(nonsense.chars()));
        }
        text.truncate(text.len() - tail.index(text.len()) / 8);
        let source: String = text.into_iter().collect();
        for (line, column, _, reason, _) in faults(&source) {
            prop_assert!((1..=source.split('\n').count()).contains(&line) && column >= 1);
            prop_assert!(!reason.is_empty());
        }
    }
}
