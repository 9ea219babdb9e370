//! Upstreams, and routes to them, are read as they are meant, and every fault is told at its place.

use std::path::Path;

use super::report::place;
use super::*;

/// A listener; what follows begins in line 5.
const WHOLE: &str =
    "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http\"]\n";

/// An upstream, and a route to it whose next key is in line 11.
const ROUTE: &str = "[[upstream]]\nname = \"api\"\nendpoints = [\"http://127.0.0.1:1\"]\n\
                     [[route]]\npath = \"/a/\"\nupstream = \"api\"\n";

/// An upstream whose next key is in line 7.
const UPSTREAM: &str = "[[upstream]]\nname = \"api\"\n";

fn parse(source: &str) -> Result<Config, Problems> {
    Config::parse(source, Path::new("/nowhere"))
}

/// The one fault of a file: place, key, reason and remedy.
fn fault(source: &str) -> (usize, usize, String, String) {
    let problems = parse(source).expect_err(source);
    let [problem] = &problems.list[..] else {
        panic!("{source}: {:?}", problems.list);
    };
    let (line, column) = place(source, problem.at);
    let told = format!("{}: {}", problem.reason, problem.remedy);
    (line, column, problem.key.clone(), told)
}

/// In line 11 of a file: column, key of the route, and words of what is told.
const OF_ROUTES: &[(&str, usize, &str, &str)] = &[
    (
        "strip_prefx = true",
        1,
        "strip_prefx",
        "did you mean \"strip_prefix\"?",
    ),
    ("strip_prefix = 1", 16, "strip_prefix", "true or false"),
    ("rewrite = \"v1\"", 11, "rewrite", "such as \"/v1/\""),
    ("rewrite = \"/v 1\"", 11, "rewrite", "such as \"/v1/\""),
    ("rewrite = \"/v1?a\"", 11, "rewrite", "such as \"/v1/\""),
    (
        "upstream_host = \"a b\"",
        17,
        "upstream_host",
        "\"api.internal\"",
    ),
    (
        "upstream_host = \"me@a\"",
        17,
        "upstream_host",
        "\"api.internal\"",
    ),
    ("request_timeout = 5", 19, "request_timeout", "or \"pool\""),
    ("max_body_size = 5", 17, "max_body_size", "MiB"),
    ("retries = 6", 11, "retries", "0 to 5"),
    ("retry = \"always\"", 9, "retry", "\"idempotent\""),
    ("app = \"demo\"", 1, "app", "answers this route already"),
    (
        "request_headers = { add = {} }",
        21,
        "request_headers.add",
        "the keys here are set",
    ),
    (
        "request_headers = { set = 1 }",
        27,
        "request_headers.set",
        "this must be a table",
    ),
    (
        "request_headers = { set = { \"a b\" = \"\" } }",
        29,
        "request_headers.set.a b",
        "leave it out",
    ),
    (
        "request_headers = { set = { host = \"a\" } }",
        29,
        "request_headers.set.host",
        "upstream_host",
    ),
    (
        "request_headers = { set = { te = \"a\" } }",
        29,
        "request_headers.set.te",
        "writes itself",
    ),
    (
        "request_headers = { set = { x = 1 } }",
        33,
        "request_headers.set.x",
        "without line ends",
    ),
    (
        "request_headers = { set = { x = \"a\\nb\" } }",
        33,
        "request_headers.set.x",
        "without line ends",
    ),
    (
        "response_headers = { remove = \"a\" }",
        31,
        "response_headers.remove",
        "a list of names",
    ),
    (
        "response_headers = { remove = [\"x-wharf-reason\"] }",
        32,
        "response_headers.remove",
        "leave it out",
    ),
];

#[test]
fn each_fault_of_a_route_is_told_with_its_place() {
    for (more, column, key, told) in OF_ROUTES {
        let (line, at, found, said) = fault(&format!("{WHOLE}{ROUTE}{more}\n"));
        assert_eq!((line, at), (11, *column), "{more}: {said}");
        assert_eq!(found, format!("route[0].{key}"), "{more}");
        assert!(said.contains(told), "{more}: {said}");
    }
}

#[test]
fn a_path_is_taken_away_or_replaced_and_not_both() {
    let both = "strip_prefix = true\nrewrite = \"/v1/\"\n";
    let (line, column, key, said) = fault(&format!("{WHOLE}{ROUTE}{both}"));
    assert_eq!((line, column, key.as_str()), (12, 1, "route[0].rewrite"));
    assert!(said.contains("leave strip_prefix out"), "{said}");
}

/// In line 7 of a file: column, key of the upstream, and words of what is told.
const OF_UPSTREAMS: &[(&str, usize, &str, &str)] = &[
    ("endpoints = []", 13, "endpoints", "answers nothing"),
    (
        "endpoints = \"http://a\"",
        13,
        "endpoints",
        "a list of endpoints",
    ),
    (
        "endpoints = [\"a:80\"]",
        14,
        "endpoints",
        "http://host:port",
    ),
    (
        "endpoints = [\"http://a\", \"h2c://a\"]",
        26,
        "endpoints",
        "an upstream of its own",
    ),
    (
        "endpoints = [\"http://a\", \"http://a:80\"]",
        26,
        "endpoints",
        "weight = 2",
    ),
    (
        "endpoints = [{ address = \"http://a\", weight = 0 }]",
        47,
        "endpoints.weight",
        "1 to 1000",
    ),
    (
        "endpoints = [{ weight = 2 }]",
        14,
        "endpoints.address",
        "missing",
    ),
    (
        "endpoints = [\"http://169.254.169.254\"]",
        14,
        "endpoints",
        "allow_link_local = true",
    ),
    (
        "endpoints = [\"http://[::ffff:169.254.169.254]\"]",
        14,
        "endpoints",
        "allow_link_local",
    ),
    (
        "endpoints = [\"http://[fe80::1]\"]",
        14,
        "endpoints",
        "allow_link_local",
    ),
    (
        "endpoints = [\"http://[fd00:ec2::254]\"]",
        14,
        "endpoints",
        "allow_link_local",
    ),
    (
        "endpoints = [\"http://0.0.0.0\"]",
        14,
        "endpoints",
        "allow_link_local",
    ),
];

#[test]
fn each_fault_of_an_upstream_is_told_with_its_place() {
    for (more, column, key, told) in OF_UPSTREAMS {
        let (line, at, found, said) = fault(&format!("{WHOLE}{UPSTREAM}{more}\n"));
        assert_eq!((line, at), (7, *column), "{more}: {said}");
        assert_eq!(found, format!("upstream[0].{key}"), "{more}");
        assert!(said.contains(told), "{more}: {said}");
    }
}

#[test]
fn an_upstream_has_to_have_endpoints_and_a_name_of_its_own() {
    let (.., key, _) = fault(&format!("{WHOLE}{UPSTREAM}"));
    assert_eq!(key, "upstream[0].endpoints");
    let named =
        |name: &str| format!("[[upstream]]\nname = \"{name}\"\nendpoints = [\"http://a\"]\n");
    let (line, _, key, said) = fault(&format!("{WHOLE}{}", named("web")));
    assert_eq!((line, key.as_str()), (6, "upstream[0].name"));
    assert!(said.contains("a listener \"web\" already"), "{said}");
    let (line, _, key, said) = fault(&format!("{WHOLE}{}{}", named("b"), named("b")));
    assert_eq!((line, key.as_str()), (9, "upstream[1].name"));
    assert!(said.contains("an upstream \"b\" already"), "{said}");
}

#[test]
fn a_route_to_nowhere_is_told_whom_there_is() {
    let wrong = ROUTE.replace("upstream = \"api\"", "upstream = \"apj\"");
    let (line, _, key, said) = fault(&format!("{WHOLE}{wrong}"));
    assert_eq!((line, key.as_str()), (10, "route[0].upstream"));
    assert!(said.contains("write one of api"), "{said}");
}

#[test]
fn what_is_read_is_shown_as_it_can_be_read_again() {
    let source = format!(
        "{WHOLE}{ROUTE}rewrite = \"/v1\"\nupstream_host = \"b\"\nrequest_timeout = \"off\"\n\
         request_headers = {{ set = {{ \"x-a\" = \"b\\\"c\" }}, remove = [\"cookie\"] }}\n\
         [[upstream]]\nname = \"b\"\nbalance = \"p2c\"\nallow_link_local = true\n\
         endpoints = [{{ address = \"http://169.254.1.1\", weight = 3 }}, \"http://b:1\"]\n\
         [upstream.pool]\nmin_idle = \"off\"\nmax_waiting = 7\n"
    );
    let config = parse(&source).unwrap();
    let text = effective(&config, Some("wharf.toml"));
    let again = parse(&text)
        .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render("effective", &text)));
    assert_eq!(again.routes, config.routes);
    assert_eq!(again.upstreams, config.upstreams);
}

#[test]
fn what_changes_of_an_upstream_is_told_setting_by_setting() {
    let with = |more: &str| parse(&format!("{WHOLE}{ROUTE}{more}")).unwrap();
    let told = |old: &Config, new: &Config| -> Vec<String> {
        let changes = differences(old, new);
        changes
            .iter()
            .map(|it| format!("{} {}", it.path, it.effect.as_str()))
            .collect()
    };
    let other = ROUTE.replace("127.0.0.1:1", "127.0.0.1:2");
    let other = format!("{WHOLE}{other}retries = 0\n");
    let other = parse(&other.replace("[[route]]", "[upstream.pool]\nmin_idle = 5\n[[route]]"));
    let expected = [
        "upstream.api.endpoints now",
        "upstream.api.pool.min_idle now",
        "route now",
    ];
    assert_eq!(told(&with(""), &other.unwrap()), expected);
    let second = "[[upstream]]\nname = \"b\"\nendpoints = [\"http://b\"]\n";
    assert_eq!(told(&with(""), &with(second)), ["upstream.b.endpoints now"]);
    assert_eq!(told(&with(second), &with("")), ["upstream.b.endpoints now"]);
}

#[test]
fn where_endpoints_are_found_is_shown_as_it_can_be_read_again() {
    for source in [
        "etcd = { endpoints = [\"http://a:2379\", \"http://b:2379\"], prefix = \"/a/\" }",
        "dns = { name = \"_http._tcp.a\", min_ttl = \"2s\" }",
        "dns = { name = \"a\", port = 80, servers = [\"10.0.0.2:53\"] }\nscheme = \"h2c\"",
        "file = { path = \"b.toml\" }\nallow_empty = true",
    ] {
        let file = format!("{WHOLE}{UPSTREAM}[upstream.discovery]\n{source}\n");
        let config = parse(&file).unwrap();
        let text = effective(&config, Some("wharf.toml"));
        let again = parse(&text)
            .unwrap_or_else(|problems| panic!("{}\n{text}", problems.render("effective", &text)));
        assert_eq!(again.upstreams, config.upstreams, "{text}");
    }
}

#[test]
fn each_fault_of_where_endpoints_are_found_is_told() {
    for (source, key, told) in [
        ("", "", "does not say where"),
        (
            "dns = { name = \"a\" }\nfile = { path = \"b\" }",
            "",
            "in one place",
        ),
        ("etcd = { prefix = \"/a/\" }", ".etcd.endpoints", "missing"),
        (
            "etcd = { endpoints = [\"http://a:1\"] }",
            ".etcd.prefix",
            "missing",
        ),
        (
            "etcd = { endpoints = [\"http://a:1\"], prefix = \"/\", user = \"u\" }",
            ".etcd.user",
            "password_file",
        ),
        ("dns = { name = \"a b\" }", ".dns.name", "_http._tcp"),
        (
            "dns = { name = \"a\", port = 0 }",
            ".dns.port",
            "1 to 65535",
        ),
        (
            "file = { path = \"b\" }\nscheme = \"ftp\"",
            ".scheme",
            "\"h2c\"",
        ),
    ] {
        let file = format!("{WHOLE}{UPSTREAM}[upstream.discovery]\n{source}\n");
        let (.., found, said) = fault(&file);
        assert_eq!(found, format!("upstream[0].discovery{key}"), "{source}");
        assert!(said.contains(told), "{source}: {said}");
    }
}
