"""Each wait for a peer or for a handler has an end: on time, for its own reason, and never early."""

import time

import pytest

from harness import Events, Peer, eventually, get

# Too late for a peer that waits, and room for two busy cores. Never early is exact, but for the
# resolution of the clocks.
LATE, EARLY = 0.5, 0.01


def assert_on_time(began, ended, limit):
    took = ended - began
    assert limit - EARLY <= took <= limit + LATE, f"closed after {took:.3f} s, the limit is {limit} s"


def status_of(closed):
    head = closed.received.split(b"\r\n")[0].split(b" ")
    return int(head[1]) if len(head) > 1 else None


def test_a_silent_client_is_closed_at_connection_timeout(serve):
    with serve({"connection_timeout": "1500ms"}) as server:
        with server.expecting(closed={"connection_timeout": 1}), Peer(server.address) as peer:
            closed = peer.closed(5)
            assert_on_time(peer.opened, closed.at, 1.5)
            assert (closed.how, closed.received) == ("fin", b"")


def test_half_a_request_line_is_closed_at_headers_timeout_with_408(serve):
    with serve({"headers_timeout": "1500ms", "connection_timeout": "20s"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), Peer(server.address) as peer:
            time.sleep(0.5)
            began = peer.send("GET /hel")
            closed = peer.closed(5)
            assert_on_time(began, closed.at, 1.5)
            assert (closed.how, status_of(closed)) == ("fin", 408)


def test_half_a_head_is_closed_at_connection_timeout_too_with_408(serve):
    with serve({"headers_timeout": "20s", "connection_timeout": "1500ms"}) as server:
        with server.expecting(closed={"connection_timeout": 1}), Peer(server.address) as peer:
            peer.send("GET /hello HTTP/1.1\r\nHost: lo")
            closed = peer.closed(5)
            assert_on_time(peer.opened, closed.at, 1.5)
            assert status_of(closed) == 408


def test_headers_at_one_byte_a_second_end_at_headers_timeout(serve):
    with serve({"headers_timeout": "3s"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), Peer(server.address) as peer:
            closed = peer.drip(get(), every=1.0, within=6)
            assert_on_time(peer.opened, closed.at, 3)
            assert status_of(closed) == 408
        assert not server.requests()


def test_headers_of_the_second_request_have_the_same_deadline(serve):
    with serve({"headers_timeout": "3s", "connection_timeout": "2s"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), Peer(server.address) as peer:
            assert peer.request().status == 200
            time.sleep(0.5)
            began = time.monotonic()
            closed = peer.drip(get(), every=1.0, within=6)
            assert_on_time(began, closed.at, 3)
            assert status_of(closed) == 408
        assert len(server.requests()) == 1


def test_half_a_line_after_a_request_in_the_same_bytes_has_the_deadline_too(serve):
    with serve({"headers_timeout": "1500ms"}) as server:
        with server.expecting(closed={"headers_timeout": 1}), Peer(server.address) as peer:
            began = peer.send(get() + b"GET /hel")
            assert peer.response().status == 200
            closed = peer.closed(5)
            assert_on_time(began, closed.at, 1.5)
            assert status_of(closed) == 408


def test_a_drip_of_blank_lines_is_no_way_around_the_deadline(serve):
    with serve({"headers_timeout": "1500ms", "connection_timeout": "3s"}) as server:
        with Peer(server.address) as peer:
            closed = peer.drip("\r\n" * 20, every=0.2, within=5)
            assert closed.at - peer.opened <= 3 + LATE
        eventually(lambda: server.active() == 0)


BODY_HEAD = (
    "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
)


def test_a_body_at_one_byte_a_second_is_too_slow(serve):
    with serve() as server:
        with server.expecting(closed={"slow_request": 1}, within=4), Peer(server.address) as peer:
            began = peer.send(BODY_HEAD.format(target="/echo"))
            closed = peer.drip("x" * 20, every=1.0, within=8)
            assert_on_time(began, closed.at, 5)
            assert status_of(closed) in (200, 408)


def test_a_chunked_body_at_one_byte_a_second_is_too_slow(serve):
    with serve() as server:
        with server.expecting(closed={"slow_request": 1}, within=4), Peer(server.address) as peer:
            began = peer.send("POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                              "Transfer-Encoding: chunked\r\n\r\nffff\r\n")
            closed = peer.drip("x" * 20, every=1.0, within=8)
            assert_on_time(began, closed.at, 5)


def test_a_body_that_stops_is_too_slow_too(serve):
    with serve() as server:
        with server.expecting(closed={"slow_request": 1}, within=4), Peer(server.address) as peer:
            began = peer.send(BODY_HEAD.format(target="/echo"))
            assert_on_time(began, peer.closed(8).at, 5)


# `POST /count` reads the whole body before it answers, so that the peer owes bytes and no response
# has begun.


@pytest.mark.parametrize("some", [b"", b"x" * 10], ids=["before its first byte", "after some bytes"])
def test_a_body_that_stops_is_closed_at_stream_idle_timeout_with_408(serve, some):
    pool = {"min_data_rate": "off", "stream_idle_timeout": "1500ms"}
    with serve(pool) as server:
        with server.expecting(closed={"stream_idle": 1}, within=4), Peer(server.address) as peer:
            began = peer.send(BODY_HEAD.format(target="/count"))
            if some:
                time.sleep(0.7)
                began = peer.send(some)
            closed = peer.closed(5)
            assert_on_time(began, closed.at, 1.5)
            assert status_of(closed) == 408


def test_a_slow_body_is_told_408_where_no_response_has_begun(serve):
    with serve() as server:
        with server.expecting(closed={"slow_request": 1}, within=4), Peer(server.address) as peer:
            began = peer.send(BODY_HEAD.format(target="/count"))
            closed = peer.drip("x" * 20, every=1.0, within=8)
            assert_on_time(began, closed.at, 5)
            assert status_of(closed) == 408


def gone(server, within=10):
    """When the one connection that does not read is gone: it cannot see that itself."""
    assert eventually(lambda: server.active() == 1)
    assert eventually(lambda: server.active() == 0, within, every=0.02), "it is still there"
    return time.monotonic()


def test_a_reader_that_stops_is_closed_at_stream_idle_timeout(serve):
    pool = {"min_data_rate": "off", "stream_idle_timeout": "2s"}
    with serve(pool) as server:
        with server.expecting(closed={"stream_idle": 1}), \
                Peer(server.address, receive_buffer=16384) as peer:
            began = peer.send(get("/bytes?n=67108864"))
            assert_on_time(began, gone(server), 2)
            closed = peer.closed(2)
            assert closed.how == "rst" and len(closed.received) < 8 << 20


def test_a_reader_that_stops_is_too_slow_where_a_rate_is_asked_for(serve):
    with serve() as server:
        with server.expecting(closed={"slow_reader": 1}), \
                Peer(server.address, receive_buffer=16384) as peer:
            began = peer.send(get("/bytes?n=67108864"))
            assert_on_time(began, gone(server), 5)
            assert peer.closed(2).how == "rst"


def read_steadily(server, peer, rate, seconds):
    """Takes `rate` bytes a second of a long response; `Closed` or None."""
    peer.send(get("/bytes?n=67108864"))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.1)
        try:
            assert peer.socket.recv(max(1, rate // 10)), "the response ended"
        except ConnectionError:
            return False
    return server.active() == 1


def test_a_reader_of_ten_bytes_a_second_is_too_slow(serve):
    with serve() as server:
        with server.expecting(closed={"slow_reader": 1}), \
                Peer(server.address, receive_buffer=4096, segment=1460) as peer:
            began = time.monotonic()
            assert not read_steadily(server, peer, 10, 25), "it was let go on"
            # The rate is an average: what was taken at first is to its credit.
            assert 5 - EARLY <= time.monotonic() - began


def test_a_reader_at_four_times_the_minimum_rate_is_not_closed(serve):
    with serve() as server:
        with Peer(server.address, receive_buffer=4096, segment=1460) as peer:
            assert read_steadily(server, peer, 1000, 15), server.tail()


def test_a_reader_that_takes_a_little_all_the_time_is_not_silent(serve):
    pool = {"stream_idle_timeout": "3s", "min_data_rate": "off"}
    with serve(pool) as server:
        with Peer(server.address, receive_buffer=4096, segment=1460) as peer:
            assert read_steadily(server, peer, 2000, 10), server.tail()


def test_an_idle_connection_is_closed_at_keep_alive_timeout(serve):
    with serve({"keep_alive_timeout": "2s"}) as server:
        with server.expecting(closed={"idle": 1}), Peer(server.address) as peer:
            assert peer.request().status == 200
            began = time.monotonic()
            closed = peer.closed(5)
            assert_on_time(began, closed.at, 2)
            assert (closed.how, closed.received) == ("fin", b"")


def test_a_request_shortly_before_keep_alive_timeout_is_served_every_time(serve):
    with serve({"keep_alive_timeout": "2s"}) as server:
        with server.expecting(closed={"idle": 1}), Peer(server.address) as peer:
            for _ in range(3):
                assert peer.request().status == 200
                time.sleep(0.9 * 2)
            assert peer.request().status == 200
            assert_on_time(time.monotonic(), peer.closed(5).at, 2)
        assert len(server.requests()) == 4


def test_a_slow_handler_is_answered_for_with_504_at_request_timeout(serve):
    with serve({"request_timeout": "1500ms"}) as server:
        with server.expecting(closed={"request_timeout": 1}), Peer(server.address) as peer:
            began = peer.send(get("/slow?ms=10000"))
            answer = peer.response()
            assert_on_time(began, time.monotonic(), 1.5)
            assert (answer.status, answer.says_close) == (504, True)
            assert peer.closed(2)
        assert server.in_flight() == 0
        assert [entry["status"] for entry in server.requests()] == [504]


def test_a_body_that_trickles_does_not_make_the_handler_late(serve):
    pool = {"request_timeout": "1s", "min_data_rate": "off"}
    with serve(pool) as server, server.expecting(), Peer(server.address) as peer:
        peer.send("POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            time.sleep(0.5)
            peer.send("x")
        answer = peer.response()
        assert answer.status == 200 and b"5" in answer.body


SHORT = {
    "connection_timeout": "1s", "headers_timeout": "1s", "keep_alive_timeout": "1s",
    "stream_idle_timeout": "1s",
}


def test_a_long_poll_is_not_closed(serve):
    with serve(SHORT) as server, server.expecting(), Peer(server.address) as peer:
        peer.send(get("/slow?ms=7000"))
        assert peer.response().status == 200
        assert peer.request().status == 200


def test_a_response_that_is_silent_between_its_chunks_is_not_closed(serve):
    with serve(SHORT | {"request_timeout": "4s"}) as server:
        with server.expecting(), Peer(server.address) as peer:
            peer.send(get("/slow?ms=3000&chunks=3"))
            assert peer.response(within=15).status == 200
            assert peer.request().status == 200


def upload(peer, seconds, rate=10_000, step=0.5):
    """An honest upload at `rate` bytes a second."""
    steps = int(seconds / step)
    size = int(rate * step)
    peer.send(f"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: {steps * size}\r\n\r\n")
    began = time.monotonic()
    for n in range(steps):
        peer.send(b"x" * size)
        time.sleep(max(0, began + (n + 1) * step - time.monotonic()))
    answer = peer.response()
    assert answer.status == 200 and str(steps * size).encode() in answer.body


def test_a_slow_and_steady_upload_is_not_closed(serve):
    with serve(SHORT | {"request_timeout": "2s"}) as server:
        with server.expecting(), Peer(server.address) as peer:
            upload(peer, 8)


def test_a_slow_and_steady_download_is_not_closed(serve):
    with serve(SHORT | {"stream_idle_timeout": "3s"}) as server:
        with Peer(server.address, receive_buffer=65536, segment=1460) as peer:
            assert read_steadily(server, peer, 200_000, 9), server.tail()


def test_the_default_deadline_of_a_head_is_ten_seconds(serve):
    with serve() as server:
        with server.expecting(closed={"headers_timeout": 1}), Peer(server.address) as peer:
            closed = peer.drip(get(), every=1.0, within=14)
            assert_on_time(peer.opened, closed.at, 10)
            assert status_of(closed) == 408


def test_each_end_is_told_as_an_event_with_its_reason_once(serve):
    pool = SHORT | {"connection_timeout": "2s", "request_timeout": "1s", "min_data_rate": "off"}
    with serve(pool) as server, Events(server.admin) as events:
        peers = {reason: Peer(server.address, receive_buffer=16384) for reason in (
            "connection_timeout", "headers_timeout", "request_timeout", "idle", "body", "reader")}
        peers["headers_timeout"].send("GET /hel")
        peers["request_timeout"].send(get("/slow?ms=9000"))
        peers["idle"].send(get())
        peers["body"].send(BODY_HEAD.format(target="/count"))
        peers["reader"].send(get("/bytes?n=67108864"))
        ports = {peer.socket.getsockname()[1]: reason for reason, peer in peers.items()}
        assert eventually(lambda: len(events.of("connection_removed")) == len(peers), 10.0)
        assert eventually(lambda: server.active() == 0)
        wanted = {port: {"body": "stream_idle", "reader": "stream_idle"}.get(reason, reason)
                  for port, reason in ports.items()}
        for kind in ("connection_timeout", "connection_removed"):
            told = [(int(event["peer"].rpartition(":")[2]), event["reason"])
                    for event in events.of(kind)]
            assert sorted(told) == sorted(wanted.items()), kind
        assert len({event["connection"] for event in events.of("connection_removed")}) == len(peers)
        for peer in peers.values():
            peer.close()


def test_a_connection_finishes_at_max_requests(serve):
    with serve({"max_requests": 3}) as server:
        with server.expecting(closed={"max_requests": 1}), Peer(server.address) as peer:
            answers = [peer.request() for _ in range(3)]
            assert [answer.says_close for answer in answers] == [False, False, True]
            assert peer.closed(2).how == "fin"


def test_a_connection_finishes_at_max_age(serve):
    with serve({"max_age": "2s"}) as server:
        with server.expecting(closed={"max_age": 2}, within=4):
            with Peer(server.address) as busy, Peer(server.address) as idle:
                assert idle.request().status == 200
                answer = busy.request()
                while not answer.says_close:
                    assert time.monotonic() - busy.opened < 5, "it never finishes"
                    time.sleep(0.05)
                    answer = busy.request()
                assert 1.8 - EARLY <= time.monotonic() - busy.opened <= 2.2 + LATE
                # An idle one lingers, in case a request is on its way.
                assert 1.8 - EARLY <= idle.closed(5).at - idle.opened <= 2.2 + 1.5 + LATE


@pytest.mark.long
@pytest.mark.parametrize("limit, reason", [(30, "connection_timeout"), (75, "idle")])
def test_the_default_deadlines_of_silence(serve, limit, reason):
    with serve() as server:
        with server.expecting(closed={reason: 1}), Peer(server.address) as peer:
            if reason == "idle":
                assert peer.request().status == 200
            began = time.monotonic()
            assert_on_time(began, peer.closed(limit + 5).at, limit)


@pytest.mark.long
def test_the_default_deadline_of_a_handler_is_thirty_seconds(serve):
    with serve() as server:
        with server.expecting(closed={"request_timeout": 1}), Peer(server.address) as peer:
            began = peer.send(get("/slow?ms=60000"))
            assert peer.response(within=40).status == 504
            assert_on_time(began, time.monotonic(), 30)


@pytest.mark.long
def test_the_default_deadline_of_a_silent_stream_is_a_minute(serve):
    with serve({"min_data_rate": "off"}) as server:
        with server.expecting(closed={"stream_idle": 1}), \
                Peer(server.address, receive_buffer=16384) as peer:
            began = peer.send(get("/bytes?n=67108864"))
            assert_on_time(began, gone(server, 70), 60)


@pytest.mark.long
def test_a_long_poll_of_two_minutes_is_not_closed(serve):
    with serve({"request_timeout": "10m"}) as server:
        with server.expecting(), Peer(server.address) as peer:
            peer.send(get("/slow?ms=120000"))
            assert peer.response(within=130).status == 200


@pytest.mark.long
def test_an_event_stream_that_says_nothing_for_minutes_is_not_closed(serve):
    with serve() as server, server.expecting(), Peer(server.address) as peer:
        peer.send(get("/slow?ms=150000&chunks=2"))
        assert peer.response(within=330).status == 200


@pytest.mark.long
def test_an_upload_of_five_minutes_at_ten_kilobytes_a_second_is_not_closed(serve):
    with serve() as server, server.expecting(), Peer(server.address) as peer:
        upload(peer, 300)
