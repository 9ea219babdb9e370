"""TLS: who may come in, in which time, and what is said to whom may not."""

import ssl
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from harness import (
    H2, Peer, TlsPeer, eventually, get, in_threads, resident_bytes, serial_of, tls_client,
)

LATE, EARLY = 0.5, 0.01
QUIET = {"access": False}
REFUSE = {"when_full": "refuse"}
HANDSHAKE, ALERT, CLIENT_HELLO = 22, 21, 1
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def assert_on_time(began, ended, limit):
    took = ended - began
    assert limit - EARLY <= took <= limit + LATE, f"after {took:.3f} s, the limit is {limit} s"


def client_hello(context=None, name="localhost"):
    """A handshake that has only begun: the object, its buffers, and the first record."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = (context or tls_client()).wrap_bio(received, sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return session, received, sent, sent.read()


def record(kind, payload):
    return bytes([kind, 3, 1]) + len(payload).to_bytes(2, "big") + payload


def alert(received):
    """The number of the alert that a connection ended with, or None."""
    at = 0
    while at + 5 <= len(received):
        length = int.from_bytes(received[at + 3:at + 5], "big")
        if received[at] == ALERT:
            return received[at + 6]
        at += 5 + length
    return None


# Who comes in.


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_both_versions_of_tls_are_spoken_with_a_certificate_that_holds(serve_tls, authority, version):
    context = tls_client(trust=authority, version=version)
    with serve_tls() as server, TlsPeer(server.address, context) as peer:
        assert peer.request().body == b"Hello, World!"
        assert peer.socket.version() == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[version]


def test_the_facts_of_the_handshake_are_told_of_the_connection(serve_tls):
    with serve_tls() as server, TlsPeer(server.address, tls_client(["http/1.1"])) as peer:
        assert peer.request().status == 200
        connection = server.json("/connections")["connections"][0]
        assert connection["pool"] == "web/https"
        told = str(connection)
        assert peer.socket.version() in told and "localhost" in told, told
        assert peer.socket.cipher()[0].removeprefix("TLS_") in told.removeprefix("TLS_"), told


def test_a_self_signed_certificate_is_made_at_the_start(serve_tls):
    with serve_tls(tls={"self_signed": True}) as server, TlsPeer(server.address) as peer:
        assert peer.request().status == 200


@pytest.mark.parametrize("use_rsa, kind", [
    (False, "PKCS8"), (False, "TraditionalOpenSSL"), (True, "PKCS8"), (True, "TraditionalOpenSSL"),
], ids=["P-256 in PKCS#8", "P-256 in SEC1", "RSA in PKCS#8", "RSA in PKCS#1"])
def test_keys_of_each_kind_and_form_are_read(serve_tls, tmp_path, authority, use_rsa, kind):
    keys = authority.issue("localhost", use_rsa=use_rsa).write(tmp_path, kind=kind)
    with serve_tls(tls=keys) as server:
        with TlsPeer(server.address, tls_client(trust=authority)) as peer:
            assert peer.request().status == 200


ALPN = [  # what the client offers, what is agreed on, and what it may then speak
    ([], None, "HTTP/1"),
    (["http/1.1"], "http/1.1", "HTTP/1"),
    (["h2"], "h2", "HTTP/2"),
    (["http/1.1", "h2"], "h2", "HTTP/2"),
    (["h2", "http/1.1"], "h2", "HTTP/2"),
    (["acme", "http/1.1"], "http/1.1", "HTTP/1"),
]


@pytest.mark.parametrize("offered, agreed, spoken", ALPN, ids=[str(row[0]) for row in ALPN])
def test_what_is_agreed_on_is_what_is_spoken(serve_tls, offered, agreed, spoken):
    with serve_tls() as server:
        context = tls_client(offered)
        with TlsPeer(server.address, context) as peer:
            assert peer.socket.selected_alpn_protocol() == agreed
        if spoken == "HTTP/2":
            with H2(server.address, tls=context) as peer:
                assert peer.get().body == b"Hello, World!"
        else:
            with TlsPeer(server.address, context) as peer:
                assert peer.request().body == b"Hello, World!"


def test_a_client_without_a_protocol_in_common_is_told_so(serve_tls):
    with serve_tls() as server, server.expecting(closed={"tls_error": 1}):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            TlsPeer(server.address, tls_client(["acme"]))


@pytest.mark.parametrize("protocols, offered, agreed", [
    (["https"], ["h2", "http/1.1"], "http/1.1"), (["http2"], ["http/1.1", "h2"], "h2"),
    (["grpc"], ["h2"], "h2"),
])
def test_only_what_the_listener_speaks_is_agreed_on(serve_tls, protocols, offered, agreed):
    with serve_tls(protocols=protocols) as server:
        with TlsPeer(server.address, tls_client(offered)) as peer:
            assert peer.socket.selected_alpn_protocol() == agreed


@pytest.mark.parametrize("offered", [[], ["http/1.1"]])
def test_an_http2_preface_is_not_spoken_to_whom_agreed_on_http1(serve_tls, offered):
    with serve_tls() as server, server.ending("bad_request", "protocol_error"):
        with TlsPeer(server.address, tls_client(offered)) as peer:
            peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            closed = peer.closed(2)
            assert closed.received.split()[:2] in (
                [b"HTTP/1.1", b"400"], [b"HTTP/1.1", b"505"], [])


def test_whom_agreed_on_http2_and_speaks_http1_is_not_served(serve_tls):
    with serve_tls() as server, server.ending("bad_request", "protocol_error"):
        with TlsPeer(server.address, tls_client(["h2"])) as peer:
            peer.send(get())
            assert b"Hello" not in peer.closed(2).received


@pytest.mark.parametrize("options, version", [
    (["--http1.1"], "1.1"), (["--http2"], "2"), (["--http2-prior-knowledge"], "2"), ([], "2"),
    (["--tls-max", "1.2", "--http2"], "2"),
], ids=["1.1", "2", "2 by prior knowledge", "as it likes", "2 over TLS 1.2"])
def test_curl_is_served_over_tls(serve_tls, tmp_path, authority, options, version):
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    with serve_tls() as server:
        assert curl(server, "https", "--cacert", str(tmp_path / "ca.crt"), *options) == version


@pytest.mark.parametrize("options, version", [
    (["--http1.1"], "1.1"), (["--http2-prior-knowledge"], "2"), (["--http2"], "1.1"),
], ids=["1.1", "2 by prior knowledge", "an upgrade that is not taken"])
def test_curl_is_served_in_plain(serve, options, version):
    with serve(listener={"protocols": ["http", "http2"]}, log=QUIET) as server:
        assert curl(server, "http", *options) == version


def curl(server, scheme, *options):
    """Asks for /hello; returns the HTTP version."""
    ran = subprocess.run(
        ["curl", "-sS", "--fail", "-w", " %{http_version}", *options,
         f"{scheme}://localhost:{server.address[1]}/hello", "--resolve",
         f"localhost:{server.address[1]}:127.0.0.1"],
        capture_output=True, text=True, timeout=10, check=False)
    assert ran.returncode == 0, ran.stderr
    body, _, version = ran.stdout.rpartition(" ")
    assert body == "Hello, World!"
    return version


def test_tls_begins_behind_the_header_of_a_proxy(serve_tls):
    proxied = {"proxy_protocol": {"trusted": ["127.0.0.1/32"]}}
    with serve_tls(door=proxied) as server:
        line = b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 443\r\n"
        with TlsPeer(server.address, before=line) as peer:
            assert peer.request().status == 200
            assert "192.0.2.7" in str(server.json("/connections")["connections"][0])


def test_a_full_listener_refuses_before_a_byte_of_tls(serve_tls):
    with serve_tls(REFUSE, REFUSE, door={"max_connections": 1}) as server:
        with TlsPeer(server.address) as first:
            assert first.request().status == 200
            # The reset may come as early as in `connect`, and who has heard of it once reads an end.
            with server.expecting(rejected={"listener_limit": 1}), suppress(ConnectionResetError):
                with Peer(server.address) as second:
                    second.send(client_hello()[3])
                    closed = second.closed(1)
                    assert (closed.how, closed.received) == ("rst", b"")
            assert first.request().status == 200


# Names.


@pytest.fixture
def named(tmp_path, authority):
    """Three certificates: what is written into the file, and each pair by its name."""
    pairs = {name: authority.issue(name) for name in ("a.example", "*.b.example", "c.example")}
    written = [pair.write(tmp_path, f"pair{n}") for n, pair in enumerate(pairs.values())]
    return {"certificates": written}, pairs


@pytest.mark.parametrize("asked, shown", [
    ("a.example", "a.example"), ("A.Example", "a.example"), ("c.example", "c.example"),
    ("x.b.example", "*.b.example"), ("x.y.b.example", "a.example"), ("b.example", "a.example"),
    ("unknown.example", "a.example"), (None, "a.example"),
], ids=str)
def test_the_certificate_is_chosen_by_name_and_the_first_is_for_all_others(serve_tls, named, asked, shown):
    tls, pairs = named
    with serve_tls(tls=tls) as server, TlsPeer(server.address, name=asked) as peer:
        assert serial_of(peer.socket) == pairs[shown].serial
        assert peer.request().status == 200


# Clients that must show who they are.


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_a_known_client_comes_in_where_one_is_required(serve_tls, mutual, version):
    keys, client = mutual
    with serve_tls(tls=keys) as server:
        with TlsPeer(server.address, client("known", version)) as peer:
            assert peer.request().status == 200


@pytest.mark.parametrize("auth", ["required", "optional"])
@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_a_stranger_never_comes_in(serve_tls, mutual, version, auth):
    keys, client = mutual
    keys |= {"client_auth": "optional"} if auth == "optional" else {}
    with serve_tls(tls=keys) as server, server.expecting(closed={"tls_error": 1}):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with TlsPeer(server.address, client("stranger", version)) as peer:
                peer.request()
        assert not server.requests()


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_nobody_comes_in_only_where_a_client_is_optional(serve_tls, mutual, version):
    keys, client = mutual
    with serve_tls(tls=keys) as server, server.expecting(closed={"tls_error": 1}):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with TlsPeer(server.address, client("nobody", version)) as peer:
                peer.request()
    with serve_tls(tls=keys | {"client_auth": "optional"}) as server:
        for who in ("nobody", "known"):
            with TlsPeer(server.address, client(who, version)) as peer:
                assert peer.request().status == 200


# Handshakes that do not come to an end, or cannot.


@pytest.mark.parametrize("said", ["nothing", "half a hello", "a hello"])
def test_a_handshake_that_stops_is_ended_in_time(serve_tls, said):
    with serve_tls({"tls_handshake_timeout": "1500ms"}, {"tls_handshake_timeout": "1500ms"}) as server:
        with server.expecting(closed={"tls_timeout": 1}), Peer(server.address) as peer:
            hello = client_hello()[3]
            peer.send({"nothing": b"", "half a hello": hello[:100], "a hello": hello}[said])
            assert_on_time(peer.opened, peer.closed(5).at, 1.5)


def test_a_hello_byte_by_byte_does_not_move_the_deadline(serve_tls):
    with serve_tls({"tls_handshake_timeout": "1500ms"}, {"tls_handshake_timeout": "1500ms"}) as server:
        with server.expecting(closed={"tls_timeout": 1}), Peer(server.address) as peer:
            closed = peer.drip(client_hello()[3].decode("latin-1"), every=0.3, within=5)
            assert_on_time(peer.opened, closed.at, 1.5)


def test_silence_after_the_handshake_is_closed_at_connection_timeout(serve_tls):
    pool = {"connection_timeout": "1500ms"}
    for offered in (["http/1.1"], ["h2"]):
        with serve_tls(pool, pool) as server, server.expecting(closed={"connection_timeout": 1}):
            with TlsPeer(server.address, tls_client(offered)) as peer:
                assert_on_time(peer.opened, peer.closed(5).at, 1.5)


def test_two_hundred_stalled_handshakes_cost_little_and_leave_in_time(serve_tls):
    pool = {"tls_handshake_timeout": "3s"}
    with serve_tls(pool, pool) as server:
        with TlsPeer(server.address) as peer:
            assert peer.request().status == 200
        eventually(lambda: server.active() == 0)
        before = resident_bytes(server.pid)
        with server.expecting(closed={"tls_timeout": 200}, within=6):
            hello = client_hello()[3]
            peers = [Peer(server.address) for _ in range(200)]
            for peer in peers:
                peer.send(hello[:-1])
            assert eventually(lambda: server.active() + detecting(server) >= 200, 1)
            grown = resident_bytes(server.pid) - before
            began = time.monotonic()
            with TlsPeer(server.address) as honest:
                assert honest.request().status == 200
            assert time.monotonic() - began < 0.5
            assert eventually(lambda: server.sockets() == 0, 5)
        assert grown / 200 <= 32 << 10, f"{grown / 200:.0f} bytes each"
        for peer in peers:
            peer.close()


def detecting(server):
    return int(server.metrics().total("wharf_connections_detecting"))


def test_handshakes_above_the_cap_wait_and_are_then_made(serve_tls):
    pool = {"tls_handshake_timeout": "2s"}
    with serve_tls(pool, pool, limits={"max_tls_handshakes": 4}) as server:
        stalled = [Peer(server.address) for _ in range(4)]
        hello = client_hello()[3]
        for peer in stalled:
            peer.send(hello[:-1])
        active = "wharf_tls_handshakes_active"
        assert eventually(lambda: server.metrics().total(active) == 4)
        began = time.monotonic()
        with TlsPeer(server.address) as honest:
            assert honest.request().status == 200
        assert time.monotonic() - began <= 2 + LATE
        for peer in stalled:
            peer.close()
        assert eventually(lambda: server.metrics().total(active) == 0)


def test_a_handshake_that_has_no_turn_for_five_seconds_is_turned_away(serve_tls):
    with serve_tls(limits={"max_tls_handshakes": 1}) as server:
        hello = client_hello()[3]
        began = time.monotonic()
        # Each keeps its turn for a second.
        stalled = [Peer(server.address) for _ in range(9)]
        for peer in stalled:
            peer.send(hello)
        assert eventually(lambda: server.metrics().total("wharf_tls_handshakes_active") == 9)
        refused = lambda: server.metrics().by("wharf_connections_rejected_total", "reason")
        assert eventually(refused, 7)
        assert_on_time(began, time.monotonic(), 5)
        # Five had theirs, the sixth perhaps.
        assert eventually(lambda: 3 <= sum(not peer.is_open() for peer in stalled) <= 4)
        assert set(refused()) == {"tls_limit"} and 3 <= refused()["tls_limit"] <= 4
        for peer in stalled:
            peer.close()


@pytest.mark.parametrize("pieces", ["records", "segments", "both"])
def test_a_hello_in_single_bytes_is_understood(serve_tls, pieces):
    with serve_tls() as server, Peer(server.address) as peer:
        session, received, sent, hello = client_hello()
        payload = hello[5:]
        if pieces != "segments":
            hello = b"".join(record(HANDSHAKE, bytes([byte])) for byte in payload)
        if pieces == "records":
            peer.send(hello)
        else:
            for byte in hello:
                peer.send(bytes([byte]))
        while True:
            received.write(peer.socket.recv(65536))
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.send(sent.read())
        session.write(get())
        peer.send(sent.read())
        answer = b""
        while b"Hello, World!" not in answer:
            try:
                answer += session.read(65536)
            except ssl.SSLWantReadError:
                received.write(peer.socket.recv(65536))


WRONG = {
    "a hello of 64 KiB": b"".join(
        record(HANDSHAKE, piece) for piece in
        [bytes([CLIENT_HELLO, 0, 0xff, 0xff, 3, 3]) + bytes(16378)] + [bytes(16384)] * 3),
    "garbage": bytes(range(1, 255)) * 20,
    "plain HTTP": get(),
    "plain HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    "an alert": record(ALERT, b"\2\50"),
    "application data": record(23, b"too early"),
    "an empty record": record(HANDSHAKE, b""),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_handshake_is_ended_at_once(serve_tls, kind):
    with serve_tls() as server:
        before = warm_tls(server)
        with server.expecting(closed={"tls_error": 1}), Peer(server.address) as peer:
            began = peer.send(WRONG[kind])
            closed = peer.closed(3)
            assert closed.at - began <= 0.5 + LATE
            received = closed.received
            assert received == b"" or received[0] == ALERT or received.startswith(b"HTTP/1.1 400")
        assert resident_bytes(server.pid) - before <= 1 << 20
        with TlsPeer(server.address) as peer:
            assert peer.request().status == 200


def warm_tls(server):
    for _ in range(20):
        with TlsPeer(server.address) as peer:
            peer.request("/bytes?n=100000")
    eventually(lambda: server.active() == 0)
    return resident_bytes(server.pid)


def test_a_hello_of_an_old_version_is_refused_with_an_alert(serve_tls):
    with serve_tls() as server, server.expecting(closed={"tls_error": 1}):
        with Peer(server.address) as peer:
            hello = (bytes([3, 1]) + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0")
            peer.send(record(HANDSHAKE, bytes([CLIENT_HELLO]) + len(hello).to_bytes(3, "big") + hello))
            assert alert(peer.closed(2).received) in (40, 70, 71, 47, 50, 109)


@pytest.mark.heavy
def test_forty_key_updates_in_a_row_are_too_many(serve_tls):
    with serve_tls() as server, server.ending("tls_error", "protocol_error", "bad_request"):
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.address[1], "-tls1_3"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert eventually(lambda: server.active() == 1)
            time.sleep(0.2)
            for _ in range(40):
                client.stdin.write(b"k\n")
                client.stdin.flush()
                time.sleep(0.01)
            assert eventually(lambda: server.active() == 0, 2)
        except BrokenPipeError:
            pass
        finally:
            client.kill()
            client.wait(5)


@pytest.mark.heavy
def test_handshakes_at_full_speed_leave_others_their_share(serve_tls):
    with serve_tls() as server:
        over = time.monotonic() + 3
        storm = threading.Thread(target=lambda: in_threads(4, hurry, 3))

        def hurry(_, still):
            while still():
                TlsPeer(server.address).close()

        storm.start()
        times = []
        while time.monotonic() < over:
            began = time.monotonic()
            with TlsPeer(server.address, source="127.0.0.77") as peer:
                assert peer.request().status == 200
            times.append(time.monotonic() - began)
            time.sleep(0.02)
        storm.join(10)
        assert sorted(times)[int(len(times) * 0.95)] < 0.5
        assert eventually(lambda: server.active() == 0 == server.sockets())


@pytest.mark.heavy
def test_more_handshakes_than_the_rate_allows_are_refused_before_their_work(serve_tls):
    with serve_tls(REFUSE, REFUSE, door={"accept_rate": "50/s"}) as server:
        made = refused = 0
        began = time.monotonic()
        while time.monotonic() - began < 2:
            try:
                TlsPeer(server.address).close()
                made += 1
            except OSError:
                refused += 1
        assert made <= 50 * 2 + 50 + 10 and refused > 0
        rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
        assert rejected.get("rate", 0) == refused


# The end.


def test_the_end_of_a_connection_is_said_with_close_notify(serve_tls):
    with serve_tls({"keep_alive_timeout": "1s"}) as server:
        with server.expecting(closed={"idle": 1}), Peer(server.address) as peer:
            context = tls_client()
            tls = context.wrap_socket(peer.socket, server_hostname="localhost",
                                      suppress_ragged_eofs=False)
            peer.socket = tls
            tls.sendall(get())
            while b"Hello, World!" not in peer.buffer:
                peer.buffer += tls.recv(65536)
            tls.settimeout(4)
            assert tls.recv(65536) == b"", "an end without close_notify would be an error"


def test_a_peer_that_does_not_take_our_close_notify_does_not_keep_the_slot(serve_tls):
    with serve_tls({"stream_idle_timeout": "1s", "min_data_rate": "off"}) as server:
        with server.expecting(closed={"stream_idle": 1}, within=5):
            with TlsPeer(server.address, receive_buffer=4096) as peer:
                peer.send(get("/bytes?n=67108864"))
                eventually(lambda: server.active() == 1, 1)
                assert eventually(lambda: server.active() == 0, 4)


def test_a_half_made_handshake_does_not_hold_up_a_drain(serve_tls):
    with serve_tls(server={"drain_timeout": "2s"}) as server, Peer(server.address) as peer:
        peer.send(client_hello()[3][:-1])
        time.sleep(0.2)
        server.signal(15)
        assert server.exited(within=3) == 0
