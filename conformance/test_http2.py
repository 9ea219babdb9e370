"""The life of an HTTP/2 connection: how it begins and ends, and that honest load is left alone."""

import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame

from harness import H2, Code, Peer, Sampler, eventually
from harness.h2 import PREFACE, data, headers, ping, priority, raw, rst_stream, settings

LATE, EARLY = 0.5, 0.01
QUIET = {"access": False}
BOTH = {"protocols": ["http", "http2"]}
LAST = (1 << 31) - 1


@pytest.fixture
def serve_http2(serve):
    """A server that speaks both versions on one port; `http2` are the keys of that pool."""
    def start(http2=None, **more):
        return serve(listener=BOTH, pools={"http2": http2 or {}}, log=QUIET, **more)
    return start


def assert_on_time(began, ended, limit):
    took = ended - began
    assert limit - EARLY <= took <= limit + LATE, f"after {took:.3f} s, the limit is {limit} s"


def pools(server):
    """The active connections by pool."""
    return server.metrics().by("wharf_connections_active", "protocol")


def said_goodbye(peer):
    """GOAWAY without an error came before the end."""
    assert peer.goaways and {code for code, _ in peer.goaways} == {Code.NO_ERROR}, peer.story()


# The beginning.


def test_both_versions_are_served_on_one_port_and_counted_in_their_pools(serve_http2):
    with serve_http2() as server, Peer(server.address) as one, H2(server.address) as two:
        assert one.request().body == two.get().body == b"Hello, World!"
        assert eventually(lambda: pools(server) == {"http": 1, "http2": 1})


def test_a_preface_in_single_bytes_is_understood(serve_http2):
    with serve_http2() as server, H2(server.address, greet=False) as peer:
        for byte in PREFACE:
            peer.send(bytes([byte]))
            time.sleep(0.002)
        peer.send(settings())
        assert peer.get().status == 200


def test_a_request_in_the_same_bytes_as_the_preface_is_served(serve_http2):
    with serve_http2() as server, H2(server.address, greet=False) as peer:
        peer.send(PREFACE, settings(), headers(1, peer.block(peer.fields())))
        assert peer.response().body == b"Hello, World!"


@pytest.mark.parametrize("path, answer", [("/echo", b"body"), ("/count", b"4")])
def test_a_body_that_waits_to_be_welcome_is_asked_for(serve_http2, path, answer):
    with serve_http2() as server, H2(server.address) as peer:
        peer.request(1, path, method="POST", more=[("expect", "100-continue"), ("content-length", "4")])
        interim = peer.until(lambda frame: frame.stream_id == 1)
        assert interim and interim.fields == {":status": "100"}, peer.story()
        assert "END_STREAM" not in interim.flags
        peer.send(data(1, b"body", end_stream=True))
        assert peer.response().body.strip() == answer


def test_a_body_that_would_be_too_large_is_not_asked_for(serve_http2):
    with serve_http2({"max_body_size": "3B"}) as server, H2(server.address) as peer:
        peer.request(1, "/echo", method="POST", more=[("expect", "100-continue"), ("content-length", "4")])
        assert peer.response().status == 413
        assert [f.fields[":status"] for f in peer.frames if hasattr(f, "fields")] == ["413"]


def test_a_name_and_password_before_the_host_are_refused(serve_http2):
    with serve_http2() as server, H2(server.address) as peer:
        peer.authority = f"user:secret@{peer.authority}"
        assert peer.get().status == 400


def test_a_listener_without_http2_does_not_speak_it(serve):
    with serve(listener={"protocols": ["http"]}) as server, Peer(server.address) as peer:
        peer.send(PREFACE)
        closed = peer.closed(2)
        assert closed.received.startswith(b"HTTP/1.1 ") and closed.received.split()[1] in (b"400", b"505")


def test_a_listener_of_http2_alone_does_not_speak_http1(serve):
    with serve(listener={"protocols": ["http2"]}) as server:
        with server.ending("bad_request", "protocol_error"), Peer(server.address) as peer:
            peer.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b" 200 " not in peer.closed(2).received


def test_a_full_pool_says_goodbye_with_no_stream_served(serve_http2):
    with serve_http2({"max_connections": 1, "when_full": "refuse"}) as server:
        with H2(server.address) as first:
            assert first.get().status == 200
            with server.expecting(closed={"refused": 1}, rejected={"pool_limit": 1}):
                with H2(server.address, greet=False) as second:
                    second.send(PREFACE, settings(), headers(1, second.block(second.fields())))
                    second.ended(2)
            said_goodbye(second)
            goaway = next(f for f in second.frames if isinstance(f, GoAwayFrame))
            assert goaway.last_stream_id == 0
            assert first.get(3).status == 200


def test_a_silent_channel_that_has_greeted_may_wait(serve_http2):
    with serve_http2({"connection_timeout": "1s"}) as server, server.expecting():
        with H2(server.address) as peer:
            assert not peer.ended(2.0, must=False)
            assert peer.get().status == 200


# The end.


@pytest.mark.parametrize("pinging", [False, True])
def test_an_idle_connection_is_told_to_leave_and_pings_do_not_keep_it(serve_http2, pinging):
    with serve_http2({"keep_alive_timeout": "2s", "ping_interval": "500ms"}) as server:
        with server.expecting(closed={"idle": 1}), H2(server.address) as peer:
            assert peer.get().status == 200
            began = time.monotonic()
            while not peer.ended(0.2, must=False) and time.monotonic() - began < 5:
                if pinging:
                    peer.send(ping())
            goaway = next(f for f in peer.frames if isinstance(f, GoAwayFrame))
            assert_on_time(began, goaway.at, 2)
            assert peer.ended(0.1).at - goaway.at <= 1 + LATE
            said_goodbye(peer)


def test_a_peer_that_answers_no_ping_is_dead(serve_http2):
    with serve_http2({"ping_interval": "1s", "ping_timeout": "1s"}) as server:
        with server.expecting(closed={"ping_timeout": 1}), H2(server.address, pongs=False) as peer:
            assert peer.get().status == 200
            began = time.monotonic()
            peer.ended(5)
            assert any(isinstance(f, PingFrame) for f in peer.frames)
            assert 2 - EARLY <= peer.ended_at - began <= 2 + 2 * LATE


def test_a_peer_that_answers_pings_stays(serve_http2):
    with serve_http2({"ping_interval": "500ms", "ping_timeout": "500ms"}) as server:
        with server.expecting(), H2(server.address) as peer:
            assert peer.get().status == 200
            assert not peer.ended(2.5, must=False)
            assert sum(isinstance(f, PingFrame) for f in peer.frames) >= 3
            assert peer.get(3).status == 200


def test_a_connection_finishes_at_max_requests(serve_http2):
    with serve_http2({"max_requests": 3}) as server:
        with server.expecting(closed={"max_requests": 1}), H2(server.address) as peer:
            for stream in (1, 3, 5):
                assert peer.get(stream).status == 200
            peer.ended(3)
            said_goodbye(peer)


def test_what_is_in_flight_at_max_requests_is_finished(serve_http2):
    with serve_http2({"max_requests": 3}) as server:
        with server.expecting(closed={"max_requests": 1}), H2(server.address) as peer:
            for stream in (1, 3, 5):
                peer.request(stream, "/slow?ms=700")
            assert [peer.response(stream).status for stream in (1, 3, 5)] == [200] * 3
            peer.ended(3)
            said_goodbye(peer)


def test_a_connection_finishes_at_max_age_and_its_stream_within_the_grace(serve_http2):
    with serve_http2({"max_age": "1500ms", "max_age_grace": "5s"}) as server:
        with server.expecting(closed={"max_age": 1}, within=4), H2(server.address) as peer:
            peer.request(1, "/slow?ms=3000")
            assert peer.response().status == 200
            goaway = next(f for f in peer.frames if isinstance(f, GoAwayFrame))
            assert 1.35 - EARLY <= goaway.at - peer.opened <= 1.65 + LATE
            peer.ended(2)
            said_goodbye(peer)


def test_a_stream_that_outlives_the_grace_is_cut_after_the_goodbye(serve_http2):
    with serve_http2({"max_age": "1s", "max_age_grace": "1s"}) as server:
        with server.expecting(closed={"max_age": 1}, within=4), H2(server.address) as peer:
            peer.request(1, "/slow?ms=60000")
            peer.ended(5)
            said_goodbye(peer)
            assert 1.9 - EARLY <= peer.ended_at - peer.opened <= 2.1 + 2 * LATE
        assert eventually(lambda: server.in_flight() == 0, 0.5)


def test_a_client_that_says_goodbye_gets_its_answers_and_the_end(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        peer.request(1, "/slow?ms=300")
        peer.send(raw(7, payload=bytes(8)))
        assert peer.response().status == 200
        assert peer.ended(2).how == "fin"


# A drain.


def test_a_drain_says_goodbye_twice_and_finishes_what_has_begun(serve_http2):
    with serve_http2(server={"drain_timeout": "5s"}) as server, H2(server.address) as peer:
        peer.request(1, "/slow?ms=2500")
        eventually(lambda: server.in_flight() == 1)
        began = server.signal(signal.SIGTERM)
        first = peer.until(lambda f: isinstance(f, GoAwayFrame), 4)
        assert first.last_stream_id == LAST and first.error_code == Code.NO_ERROR
        # What crosses the first goodbye is served too.
        peer.request(3, "/slow?ms=300")
        assert peer.response(1).status == peer.response(3).status == 200
        peer.ended(3)
        last = [f for f in peer.frames if isinstance(f, GoAwayFrame)][-1]
        assert last.last_stream_id == 3 and last.error_code == Code.NO_ERROR
        assert server.exited(within=5) == 0
        assert time.monotonic() - began <= 5


@pytest.mark.parametrize("acks", [True, False])
def test_hostile_connections_do_not_hold_up_the_end(serve_http2, acks):
    with serve_http2(server={"drain_timeout": "2s"}) as server:
        values = {4: 0}
        silent = H2(server.address, acks=acks, pongs=False)
        waiting = H2(server.address, acks=acks, pongs=False)
        waiting.request(1, "/slow?ms=60000")
        stalled = H2(server.address, acks=acks, pongs=False, values=values)
        stalled.request(1, "/bytes?n=100000")
        upload = H2(server.address, acks=acks, pongs=False)
        upload.request(1, "/count", method="POST")
        block = H2(server.address, acks=acks, pongs=False)
        block.request(1, end_headers=False)
        half = H2(server.address, greet=False)
        half.send(PREFACE[:10])
        eventually(lambda: server.active() >= 5)
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=2 + 1) == 0
        assert time.monotonic() - began <= 2 + 1
        for peer in (silent, waiting, stalled, upload, block, half):
            peer.close()


class Clients:
    """Clients that keep asking on one connection each, and obey GOAWAY. No request may be lost."""

    def __init__(self, server, count):
        self.server, self.served, self.lost = server, 0, []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def finish(self, within):
        until = time.monotonic() + within
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        assert not any(thread.is_alive() for thread in self.threads), "clients hang"

    def _run(self):
        while True:
            try:
                with H2(self.server.address, greet=False) as peer:
                    peer.send(PREFACE, settings())
                    self._use(peer)
            except ConnectionError:
                return  # the listener is gone

    def _use(self, peer):
        stream = 1
        while not peer.gone:
            last = [f.last_stream_id for f in peer.frames if isinstance(f, GoAwayFrame)]
            if last:
                return
            peer.request(stream)
            try:
                assert peer.response(stream).status == 200
                self.served += 1
            except AssertionError as error:
                last = [f.last_stream_id for f in peer.frames if isinstance(f, GoAwayFrame)]
                refused = peer.resets.get(stream) == Code.REFUSED_STREAM
                if not refused and not (last and stream > last[-1]):
                    self.lost.append(str(error))
                return
            stream += 2
            peer.wait(0.02)


@pytest.mark.heavy
@pytest.mark.parametrize("delay", ["0s", "1s"])
def test_a_drain_under_load_loses_no_request(serve_http2, delay):
    with serve_http2(server={"drain_delay": delay, "drain_timeout": "5s"}) as server:
        clients = Clients(server, 50)
        eventually(lambda: clients.served > 500, 15)
        server.signal(signal.SIGTERM)
        assert server.exited(within=float(delay.rstrip("s")) + 6) == 0
        clients.finish(within=5)
        assert not clients.lost, f"{len(clients.lost)} lost: {clients.lost[:3]}"
        assert clients.served > 500


# Honest load.


def test_three_hundred_requests_with_a_ping_at_each_third_are_served(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        for n in range(300):
            if n % 3 == 0:
                peer.send(ping())
            assert peer.get(2 * n + 1).status == 200
        assert not peer.goaways


def test_a_client_that_cancels_a_quarter_of_its_calls_is_served(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        for n in range(600):
            stream = 2 * n + 1
            if n % 4 == 0:
                peer.request(stream, "/slow?ms=5000")
                peer.next(0.002)
                peer.send(rst_stream(stream))
            else:
                assert peer.get(stream).status == 200
        assert not peer.goaways


def test_a_client_that_cancels_nearly_all_of_a_few_calls_is_served(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        block = peer.block(peer.fields("/slow?ms=5000"))
        for n in range(45):
            peer.send(headers(2 * n + 1, block), rst_stream(2 * n + 1))
            peer.next(0.005)
        assert peer.get(101).status == 200
        assert not peer.goaways


def test_what_a_browser_says_besides_requests_is_no_abuse(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        peer.send(*(priority(stream, weight=200) for stream in (3, 5, 7, 9, 11)))
        for n in range(100):
            stream = 2 * n + 13
            peer.send(headers(stream, peer.block(peer.fields()), depends_on=0, weight=146,
                              exclusive=True))
            # PRIORITY_UPDATE, RFC 9218 section 7.1.
            peer.send(raw(0x10, payload=stream.to_bytes(4, "big") + b"u=3, i"))
            assert peer.response(stream).status == 200
        peer.send(ping())
        assert not peer.ended(0.5, must=False) and not peer.goaways


def test_an_upload_of_many_small_pieces_is_no_abuse(serve_http2):
    with serve_http2() as server, server.expecting(), H2(server.address) as peer:
        peer.request(1, "/echo", method="POST")
        piece = data(1, b"0123456789")
        for _ in range(200):
            peer.send(*([piece] * 20))
            peer.wait(0.005)
        peer.send(data(1, end_stream=True))
        assert peer.response().body == b"0123456789" * 4000
        assert not peer.goaways


def h2load(server, seconds, *options):
    tool = shutil.which("h2load")
    if not tool:
        pytest.skip("h2load is not installed")
    url = "http://%s:%d/bytes?n=1000" % server.address
    command = [tool, "-D", str(seconds), "-m", "100", *options, url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    counts = re.search(r"requests: (\d+) total, .* (\d+) failed, (\d+) errored, (\d+) timeout", ran.stdout)
    assert counts, ran.stdout
    total, failed, errored, late = map(int, counts.groups())
    return total, failed + errored + late, ran.stdout


@pytest.mark.heavy
@pytest.mark.parametrize("seconds", [10, pytest.param(300, marks=pytest.mark.long)])
def test_a_hundred_streams_at_full_speed_are_no_abuse(serve_http2, seconds):
    with serve_http2() as server:
        before = server.metrics()
        total, wrong, output = h2load(server, seconds, "-c", "4")
        assert total > 1000 * seconds and not wrong, output
        # When its time is over, h2load leaves in the middle of requests.
        eventually(lambda: server.metrics().total("wharf_connections_active") == 0, 5)
        was = before.by("wharf_connections_closed_total", "reason")
        now = server.metrics().by("wharf_connections_closed_total", "reason")
        ended = {reason for reason in now if now[reason] != was.get(reason, 0)}
        assert ended <= {"client_closed", "peer_reset"}


@pytest.mark.heavy
def test_requests_of_four_hundred_streams_at_once_are_all_right(serve_http2):
    with serve_http2() as server, Sampler(server.in_flight, every=0.01) as running:
        total, wrong, output = h2load(server, 3, "-c", "4", "-t", "1")
        assert total > 1000 and not wrong, output
        assert eventually(lambda: server.in_flight() == 0, 1)
    assert max(running.values) <= 400


@pytest.mark.long
def test_the_default_deadline_of_an_idle_connection_is_five_minutes(serve_http2):
    with serve_http2() as server:
        with server.expecting(closed={"idle": 1}), H2(server.address) as peer:
            assert peer.get().status == 200
            began = time.monotonic()
            peer.ended(310)
            assert_on_time(began, peer.ended_at, 300)
