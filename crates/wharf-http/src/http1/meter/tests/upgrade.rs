use super::*;

const ASK: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn an_upgrade_needs_its_option_and_http_1_1() {
    let asks = |lines: &str| head(get(lines)).asks.upgrade();
    assert!(head(ASK).asks.upgrade());
    assert!(asks(
        "Upgrade: x\r\nConnection: close\r\nconnection: UPGRADE\r\n"
    ));
    assert!(!asks("Upgrade: websocket\r\n"));
    assert!(!asks("Connection: upgrade\r\n"));
    let old = "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(!head(old).asks.upgrade());
}

#[test]
fn what_follows_an_upgrade_request_waits_for_its_answer() {
    let input = [ASK.as_bytes(), b"\x81\0GET"].concat();
    for cuts in [vec![], (0..input.len()).collect()] {
        let found = events(&LIMITS, &input, cuts.clone(), Answer::Upgrade);
        assert_eq!(found[1..], [Event::Held, Event::Tunnel(5)]);
        let found = events(&LIMITS, &input, cuts, Answer::Refuse);
        assert_eq!(
            found[1..],
            [
                Event::Held,
                Event::Refused(Violation::MethodInvalid, ASK.len())
            ]
        );
    }
}

#[test]
fn a_refused_upgrade_goes_on_with_the_next_request() {
    let found = events_of(&LIMITS, [ASK, &get("")].concat().as_bytes());
    assert_eq!(found[1], Event::Held);
    assert!(matches!(found[2], Event::Head(..)));
}

#[test]
fn the_body_of_an_upgrade_request_comes_before_the_tunnel() {
    let ask = ASK.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n");
    let input = format!("{ask}hixyz");
    let found = events(&LIMITS, input.as_bytes(), [], Answer::Upgrade);
    assert_eq!(
        found[1..],
        [Event::Body(2, 2, true), Event::Held, Event::Tunnel(3)]
    );

    let mut meter = Meter::new();
    assert!(meter.feed(&LIMITS, ask.as_bytes()).is_ok());
    meter.upgraded();
    assert_eq!(meter.place(), Place::Body);
    assert_eq!(meter.feed(&LIMITS, b"hixyz").map(|fed| fed.consumed), Ok(2));
    assert_eq!(meter.place(), Place::Tunnel);
}

#[test]
fn an_answer_before_the_body_ended_is_remembered() {
    let ask = ASK.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n");
    let mut meter = Meter::new();
    assert!(meter.feed(&LIMITS, ask.as_bytes()).is_ok());
    meter.not_upgraded();
    assert!(meter.feed(&LIMITS, b"hi").is_ok());
    assert_eq!(meter.place(), Place::Boundary);
}

#[test]
fn a_handler_may_upgrade_what_did_not_ask_for_it() {
    let mut meter = Meter::new();
    assert!(
        meter
            .feed(&LIMITS, get("Upgrade: x\r\n").as_bytes())
            .is_ok()
    );
    assert_eq!(meter.place(), Place::Boundary);
    meter.upgraded();
    assert_eq!(
        meter.feed(&LIMITS, b"\0\0").map(|fed| fed.piece),
        Ok(Piece::Tunnel)
    );
    meter.not_upgraded();
    assert_eq!(meter.place(), Place::Tunnel, "there is no way back");
}
