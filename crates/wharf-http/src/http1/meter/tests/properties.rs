use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Text that is often nearly a request.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
        1 => "[ -~]{0,8}".prop_map(String::into_bytes),
    ];
    vec(words, 0..24).prop_map(|words| words.concat())
}

const WORDS: [&str; 40] = [
    "GET / HTTP/1.1\r\n",
    "POST /a?b=c HTTP/1.1\r\nHost: a\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "GET / HTTP/1.0\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT ",
    "GET",
    " ",
    "/",
    "?",
    " HTTP/1.1\r\n",
    "Host: a\r\n",
    "host:b:80 \r\n",
    "Host:\r\n",
    "Content-Length: 5\r\n",
    "content-length:0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "X: y\r\n",
    "x-",
    ":",
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\n",
    "\t",
    "0\r\n\r\n",
    "0\r\n",
    "5\r\nhello\r\n",
    "5",
    "a;e=f\r\n0123456789\r\n",
    "1 ;\r\nx\r\n",
    "Trailer: t\r\n\r\n",
    "\0",
];

fn limits() -> impl Strategy<Value = HeadLimits> {
    let body = prop::option::of(0..30_u64);
    (20..300_usize, 0..6_usize, 1..20_usize, body).prop_map(|(size, headers, target, body)| {
        HeadLimits {
            max_header_size: size,
            max_headers: headers,
            max_target: target,
            max_body_size: body,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..Default::default() })]

    #[test]
    fn where_the_input_is_cut_changes_nothing(
        input in stream(),
        limits in prop_oneof![Just(LIMITS), limits()],
        cuts in vec(any::<prop::sample::Index>(), 0..6),
        answer in prop::sample::select(&[Answer::Upgrade, Answer::Refuse]),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let at_once = events(&limits, &input, [], answer);
        prop_assert_eq!(&at_once, &events(&limits, &input, cuts, answer));
        prop_assert_eq!(&at_once, &events(&limits, &input, 0..input.len(), answer));
    }

    #[test]
    fn what_passes_reads_the_same_to_others(input in stream(), answer in prop::sample::select(&[Answer::Upgrade, Answer::Refuse])) {
        check(&LIMITS, &input, &events(&LIMITS, &input, [], answer));
    }

    #[test]
    fn any_bytes_are_borne(input in vec(any::<u8>(), 0..64), limits in limits()) {
        check(&limits, &input, &events(&limits, &input, [], Answer::Refuse));
    }

    #[test]
    fn limits_may_change_while_bytes_arrive(input in stream(), limits in vec(limits(), 1..4)) {
        let mut meter = Meter::new();
        let mut at = 0;
        for end in 1..=input.len() {
            match meter.feed(&limits[end % limits.len()], &input[at..end]) {
                Ok(fed) => at += fed.consumed,
                Err(_) => break,
            }
        }
        prop_assert!(at <= input.len());
    }
}
