use super::super::super::head::{Method, Version};
use super::*;
use Violation as V;

#[test]
fn a_request_line_is_a_method_a_target_and_a_version_with_single_spaces() {
    let table = [
        ("GET  / HTTP/1.1\r\n", V::RequestLineInvalid),
        ("GET /  HTTP/1.1\r\n", V::RequestLineInvalid),
        ("GET / HTTP/1.1 \r\n", V::RequestLineInvalid),
        ("GET / HTTP/1.1\t\r\n", V::RequestLineInvalid),
        ("GET / HTTP/1.1x", V::RequestLineInvalid),
        ("GET /\r\n", V::RequestLineInvalid),
        ("GET / \r\n", V::RequestLineInvalid),
        ("GET\r\n", V::MethodInvalid),
        ("GET\t/ HTTP/1.1\r\n", V::MethodInvalid),
        (" GET / HTTP/1.1\r\n", V::MethodInvalid),
        ("GET /\tHTTP/1.1\r\n", V::TargetInvalid),
        ("GET / http/1.1\r\n", V::RequestLineInvalid),
        ("GET / HTTP/1,1\r\n", V::RequestLineInvalid),
        ("GET / HTTP/11.1\r\n", V::RequestLineInvalid),
        ("GET / HTTP/1.11\r\n", V::RequestLineInvalid),
        ("GET / HTTP/1.1\rx", V::BareCr),
    ];
    for (input, expected) in table {
        assert_eq!(violation(input), Some(expected), "{input:?}");
    }
}

#[test]
fn only_http_1_0_and_1_1_are_spoken() {
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        let input = format!("GET / {version}");
        assert_eq!(violation(input), Some(V::VersionUnsupported), "{version}");
    }
    assert_eq!(
        violation("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Some(V::VersionUnsupported)
    );
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").version, Version::Http10);
    assert_eq!(head(get("")).version, Version::Http11);
}

#[test]
fn what_is_not_a_token_is_no_method_from_its_first_byte_on() {
    for input in [
        &b"\x16\x03\x01"[..],
        b"\0",
        b"\xff",
        b"{",
        b"(",
        b" ",
        b"\t",
        b"\x80",
        b"G@",
    ] {
        assert_eq!(violation(input), Some(V::MethodInvalid), "{input:?}");
    }
    assert_eq!(violation("\n"), Some(V::BareLf));
    assert_eq!(violation("\rG"), Some(V::BareCr));
    assert_eq!(violation("GET\n"), Some(V::BareLf));
}

#[test]
fn methods_are_known_by_their_exact_name_and_connect_is_refused() {
    let of = |name: &str| head(format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n")).method;
    assert_eq!(of("GET"), Method::Get);
    assert_eq!(of("HEAD"), Method::Head);
    assert_eq!(of("POST"), Method::Post);
    assert_eq!(of("PUT"), Method::Put);
    assert_eq!(of("DELETE"), Method::Delete);
    assert_eq!(of("OPTIONS"), Method::Options);
    assert_eq!(of("PATCH"), Method::Patch);
    assert_eq!(of("TRACE"), Method::Trace);
    for other in [
        "get",
        "Connect",
        "PROPFIND",
        "!#$%&'*+-.^_`|~09azAZ",
        &"M".repeat(32),
    ] {
        assert_eq!(of(other), Method::Other, "{other}");
    }
    assert_eq!(violation("CONNECT "), Some(V::MethodConnect));
    assert_eq!(violation("M".repeat(33)), Some(V::MethodTooLong));
}

#[test]
fn a_target_is_a_path_an_absolute_url_or_the_asterisk_of_options() {
    let good = [
        "/",
        "/a?b",
        "/?",
        "//x",
        "/%41%zz",
        "/a|b\"{}^\\[]",
        "/?`|{}\\^'",
        "http://a/",
    ];
    for target in good
        .iter()
        .chain(&["HTTP://A:80/b?c", "http://a", "http://a?q", "https://a:443"])
    {
        let _ = head(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    let _ = head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    let forms = [
        "*", "a", "a:80", "a/b", "?", "**", "http:/a", "http://", "http:///", "ftp://a/", "ws://a/",
    ];
    for target in forms
        .iter()
        .chain(&["http://u@a/", "http://a:x/", "http://a,b/", "http://[::/"])
    {
        let input = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(violation(input), Some(V::TargetForm), "{target}");
    }
    let _ = head("GET http://a/ HTTP/1.0\r\n\r\n");
    assert_eq!(
        violation("GET http://a,b/ HTTP/1.0\r\n\r\n"),
        Some(V::TargetForm)
    );
}

#[test]
fn a_target_has_neither_controls_nor_other_alphabets_nor_a_fragment() {
    for byte in [0, 1, 9, 0x0b, 0x7f, 0x80, 0xc3, 0xff, b'#', b'<', b'>'] {
        let input = [b"GET /a", &[byte][..]].concat();
        assert_eq!(violation(&input), Some(V::TargetInvalid), "{byte:#x}");
        let input = [b"GET /a?b", &[byte][..]].concat();
        assert_eq!(violation(&input), Some(V::TargetInvalid), "{byte:#x}");
    }
    assert_eq!(violation("GET /a`"), Some(V::TargetInvalid));
    assert_eq!(violation("GET /?\""), Some(V::TargetInvalid));
    assert_eq!(violation("GET /a\n"), Some(V::BareLf));
}

#[test]
fn a_target_that_is_too_long_is_refused_before_its_line_ends() {
    let limits = HeadLimits {
        max_target: 8,
        ..LIMITS
    };
    let of = |input: &str| violation_under(&limits, input);
    assert_eq!(of("GET /2345678"), None);
    assert_eq!(of("GET /2345678 HTTP/1.1\r\nHost: a\r\n\r\n"), None);
    assert_eq!(of("GET /23456789"), Some(V::TargetTooLong));
    assert_eq!(of("GET /2?456789"), Some(V::TargetTooLong));
    assert_eq!(of("GET /2?4567 9"), Some(V::RequestLineInvalid));
}

#[test]
fn blank_lines_before_a_request_are_borne_up_to_four() {
    let five = "\r\n".repeat(4) + &get("");
    assert_eq!(events_of(&LIMITS, five.repeat(2).as_bytes()).len(), 10);
    assert_eq!(violation("\r\n".repeat(5)), Some(V::TooManyBlankLines));
}

#[test]
fn a_line_ends_in_crlf_and_in_nothing_else() {
    let table = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost\n", V::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", V::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", V::BareCr),
        ("GET / HTTP/1.1\r\nHost: a\r\n\rX", V::BareCr),
    ];
    for (input, expected) in table {
        assert_eq!(violation(input), Some(expected), "{input:?}");
    }
}

#[test]
fn a_field_is_a_token_a_colon_and_a_value_without_controls() {
    let bad_names = [
        ":a",
        "Na me: a",
        "Name : a",
        "Name\t: a",
        "Name",
        "N\u{e9}: a",
        "(x): a",
        "\0: a",
        "a\"b: c",
    ];
    for line in bad_names {
        let input = get(&format!("{line}\r\n"));
        assert_eq!(violation(input), Some(V::FieldNameInvalid), "{line:?}");
    }
    for byte in (0..=0x1f)
        .chain([0x7f])
        .filter(|byte| !b"\t\r\n".contains(byte))
    {
        let input = [get("X: a").trim_end().as_bytes(), &[byte], b"b\r\n\r\n"].concat();
        assert_eq!(violation(&input), Some(V::ControlCharacter), "{byte:#x}");
    }
    for line in [
        "X: a\tb",
        "X:",
        "X: ",
        "X:\ta",
        "X: \u{e9}",
        "!#$%&'*+-.^_`|~09aZ: \"",
        "X: ::",
    ] {
        let _ = head(get(&format!("{line}\r\n")));
    }
}

#[test]
fn a_line_that_begins_with_white_space_is_refused() {
    for input in [
        get("X: a\r\n b\r\n"),
        get("X: a\r\n\tb\r\n"),
        "GET / HTTP/1.1\r\n Host: a\r\n".into(),
    ] {
        assert_eq!(violation(&input), Some(V::LineFolded), "{input:?}");
    }
}

#[test]
fn a_head_has_at_most_max_headers_fields() {
    let limits = HeadLimits {
        max_headers: 3,
        ..LIMITS
    };
    assert_eq!(violation_under(&limits, get("A: 1\r\nB: 2\r\n")), None);
    assert_eq!(
        violation_under(&limits, get("A: 1\r\nB: 2\r\nC")),
        Some(V::TooManyFields)
    );
}

#[test]
fn a_head_has_at_most_max_header_size_bytes() {
    let input = get("A: 1\r\n");
    let under = |size| {
        violation_under(
            &HeadLimits {
                max_header_size: size,
                ..LIMITS
            },
            &input,
        )
    };
    assert_eq!(under(input.len()), None);
    assert_eq!(under(input.len() - 1), Some(V::HeadTooLarge));
    assert_eq!(
        violation(get(&format!("A: {}", "x".repeat(1 << 15)))),
        Some(V::HeadTooLarge)
    );
    assert_eq!(
        violation(get(&"n".repeat(1024))),
        Some(V::FieldNameInvalid),
        "its CR"
    );
    assert_eq!(violation(get(&"n".repeat(1025))), Some(V::FieldNameTooLong));
}

#[test]
fn host_is_there_once_and_is_a_host() {
    let host = |lines: &str| violation(format!("GET / HTTP/1.1\r\n{lines}\r\n"));
    assert_eq!(host(""), Some(V::HostMissing));
    assert_eq!(host("Host: a\r\nHost: a\r\n"), Some(V::HostRepeated));
    assert_eq!(host("Host: a\r\nhOST: b\r\n"), Some(V::HostRepeated));
    for bad in [
        "", "a b", "a,b", "a/b", "u@a", "a:b", "a:99999", "[::1", "a\u{e9}", "%61", "http://a",
    ] {
        assert_eq!(
            host(&format!("Host: {bad}\r\n")),
            Some(V::HostInvalid),
            "{bad:?}"
        );
    }
    for good in ["a", "a:80", "A.b-c_d", "[::1]:80", "127.0.0.1", "a."] {
        assert_eq!(host(&format!("Host:\t{good} \r\n")), None, "{good:?}");
    }
    let old = |lines: &str| violation(format!("GET / HTTP/1.0\r\n{lines}\r\n"));
    assert_eq!(old(""), None);
    assert_eq!(old("Host: a\r\nHost: a\r\n"), Some(V::HostRepeated));
    assert_eq!(old("Host:\r\n"), Some(V::HostInvalid));
    assert_eq!(violation("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"), None);
}

#[test]
fn host_agrees_with_an_absolute_target() {
    let pair = |target: &str, host: &str| {
        violation(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    };
    assert_eq!(pair("http://a.example/x", "A.EXAMPLE"), None);
    assert_eq!(pair("http://a.example:80/x", "a.example"), None);
    assert_eq!(pair("https://a.example/x", "a.example:443"), None);
    assert_eq!(
        pair("http://a.example/x", "b.example"),
        Some(V::HostMismatch)
    );
    assert_eq!(
        pair("http://a.example:8080/x", "a.example"),
        Some(V::HostMismatch)
    );
    assert_eq!(pair("http://a/", ""), Some(V::HostInvalid));
}

#[test]
fn keep_alive_is_the_default_of_1_1_and_the_wish_of_1_0() {
    let new = |lines: &str| head(get(lines)).asks.keep_alive();
    let old = |lines: &str| {
        head(format!("GET / HTTP/1.0\r\n{lines}\r\n"))
            .asks
            .keep_alive()
    };
    assert!(new(""));
    assert!(new("Connection: keep-alive, x\r\n"));
    assert!(!new("Connection: Close\r\n"));
    assert!(!new("connection: x ,\tcLOSE , y\r\n"));
    assert!(!new("Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!new("Connection: close\r\nConnection: keep-alive\r\n"));
    assert!(new("Connection: closed\r\n"));
    assert!(new("Connection: close, \u{e9}\r\n"), "as hyper has it");
    assert!(!old(""));
    assert!(old("Connection: Keep-Alive\r\n"));
    assert!(!old("Connection: Keep-Alive, close\r\n"));
}

#[test]
fn the_wish_for_100_continue_counts_on_1_1() {
    let asks = |lines: &str| head(get(lines)).asks.expect_continue();
    assert!(asks("Expect: 100-continue\r\n"));
    assert!(asks("Expect: 100-Continue \r\n"));
    assert!(!asks("Expect: 200-ok\r\n"));
    assert!(!asks(""));
    assert!(
        !head("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")
            .asks
            .expect_continue()
    );
}
