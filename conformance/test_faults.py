"""Faults of the machine below: processes that stop, clocks that jump, cables that are cut, disks that are full."""

import contextlib
import datetime
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from harness import (
    H2, Elsewhere, MemoryLimit, Peer, ProcessorShare, Server, TlsPeer, WallClock, connect_many, eventually,
    free_port, get, in_threads, tls_client,
)

QUIET = {"access": False}
DAY, MIB = 86_400, 1 << 20
LATE, EARLY = 0.5, 0.01


def ended(server):
    return server.metrics().by("wharf_connections_closed_total", "reason")


def assert_serves(server):
    with Peer(server.address) as peer:
        assert peer.request().status == 200


# A process that does not run for a while.


@contextlib.contextmanager
def stopped(server, seconds):
    """Stops the process; what is inside happens at once, and it goes on after that time."""
    began = server.signal(signal.SIGSTOP)
    try:
        yield
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        server.signal(signal.SIGCONT)


def test_time_in_which_the_process_did_not_run_is_nobodys_fault(serve):
    times = {"keep_alive_timeout": "3s", "connection_timeout": "3s", "headers_timeout": "3s",
             "stream_idle_timeout": "3s"}
    http2 = {"keep_alive_timeout": "3s", "ping_interval": "1s", "ping_timeout": "2s"}
    with serve(times, listener={"protocols": ["http", "http2"]}, pools={"http2": http2}) as server:
        with contextlib.ExitStack() as peers:
            idle = [peers.enter_context(Peer(server.address)) for _ in range(20)]
            assert all(peer.request().status == 200 for peer in idle)
            silent, half_head, uploading = (peers.enter_context(Peer(server.address)) for _ in range(3))
            half_head.send(get()[:10])
            uploading.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
            several = peers.enter_context(H2(server.address))
            assert several.get(1).status == 200
            assert eventually(lambda: server.sockets() == 24)
            with stopped(server, 6):
                for peer in [*idle, silent]:
                    peer.send(get())
                half_head.send(get()[10:])
                uploading.send("67890")
                several.request(3)
            assert [peer.response().status for peer in [*idle, silent, half_head, uploading]] == [200] * 23
            assert several.response(3).status == 200
        assert eventually(lambda: server.active() == 0 == server.sockets())
        assert set(ended(server)) <= {"client_closed"}, ended(server)


def test_after_a_stop_deadlines_go_on_and_each_ends_its_connection_once(serve):
    count = 50
    with serve({"connection_timeout": "2s"}, log=QUIET) as server:
        with server.expecting(closed={"connection_timeout": count}, within=6):
            with connect_many(server.address, count) as crowd:
                assert eventually(lambda: server.active() == count)
                with stopped(server, 4):
                    pass
                went_on = time.monotonic()
                crowd.serve(5.0, until=lambda: len(crowd.ended) == count)
                assert len(crowd.ended) == count
                assert time.monotonic() - went_on <= 2 + LATE
        assert_serves(server)


# A clock that jumps.


@pytest.mark.parametrize("ahead", [DAY, -DAY], ids=["a day ahead", "a day back"])
def test_no_deadline_knows_the_time_of_day(serve_tls, tmp_path, ahead):
    times = {"keep_alive_timeout": "3s", "connection_timeout": "3s", "request_timeout": "20s"}
    limits = {"accept_rate": 1000}
    context = tls_client()
    with WallClock(tmp_path) as clock, serve_tls(https=times, limits=limits, prepare=clock.enter) as server:
        with TlsPeer(server.address, context) as idle, TlsPeer(server.address, context) as busy:
            assert idle.request().status == 200
            session, resting = idle.socket.session, time.monotonic()
            busy.send(get("/slow?ms=1500"))
            silent = Peer(server.address)
            clock.set(ahead)
            assert not idle.closed(2.0, must=False), "early"
            assert idle.closed(3).at - resting <= 3 + LATE
            assert silent.closed(3).at - silent.opened <= 3 + LATE
            silent.close()
            assert busy.response().status == 200
        told = eventually(lambda: [it for it in server.lines() if it.get("reason") == "tls_timeout"])
        moved = datetime.datetime.fromisoformat(told[0]["time"]) - datetime.datetime.now(datetime.timezone.utc)
        assert abs(moved.total_seconds() - ahead) < 10, "the server has not seen the jump"
        # Who was here before the jump may come again, with or without its session.
        for _ in range(20):
            with TlsPeer(server.address, context, session=session) as peer:
                assert peer.request().status == 200
        assert set(ended(server)) <= {"idle", "tls_timeout", "client_closed"}, ended(server)


# Many at one moment, and some that never finish.


TOTAL_RETRANS = 100  # where it is in struct tcp_info


def test_a_thousand_connects_at_once_find_room_in_the_backlog(serve):
    with serve(log=QUIET) as server, connect_many(server.address, 1000, get()) as crowd:
        crowd.serve(10.0, until=lambda: len(crowd.answered(200)) == 1000)
        assert len(crowd.answered(200)) == 1000
        info = (sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS + 4) for sock in crowd.received)
        again = sum(struct.unpack_from("I", it, TOTAL_RETRANS)[0] for it in info)
        assert again == 0, f"{again} segments were sent again"


def test_stalled_handshakes_hold_up_no_accept(serve_tls):
    port = free_port()
    plain = f'[[listener]]\nname = "plain"\naddress = "127.0.0.1:{port}"\nprotocols = ["http"]\n'
    with serve_tls(more=plain) as server, contextlib.ExitStack() as stalled:
        for _ in range(50):
            stalled.enter_context(Peer(server.address)).send(b"\x16\x03\x01")
        took = []
        for _ in range(50):
            with Peer(("127.0.0.1", port)) as peer:
                assert peer.request().status == 200
                took.append(time.monotonic() - peer.opened)
        assert sorted(took)[25] < 0.05, f"{sorted(took)[25]:.3f} s"
        assert eventually(lambda: server.sockets() == 50)


# Processors that are few.


@pytest.mark.heavy
def test_with_a_tenth_of_a_processor_limits_hold_and_nobody_who_lives_is_dead(serve):
    pools = {"http": {"max_connections": 20, "when_full": "refuse"}, "http2": {"ping_interval": "1s", "ping_timeout": "3s"}}
    listener = {"protocols": ["http", "http2"], "user_timeout": "5s"}
    with ProcessorShare(0.1) as share:
        with serve(listener=listener, pools=pools, log=QUIET, prepare=share.enter) as server:
            def honest(_, still):
                with H2(server.address) as peer:
                    stream = 1
                    while still():
                        assert peer.get(stream, within=10).status == 200
                        peer.wait(0.2)
                        stream += 2
                    assert not peer.goaways

            def work(_, still):
                while still():
                    with contextlib.suppress(OSError, EOFError), Peer(server.address) as peer:
                        peer.request("/bytes?n=10000")

            def watch(_, still):
                most = 0
                while still():
                    most = max(most, server.json("/pools/web/http")["health"]["active_connections"])
                    time.sleep(0.2)
                return most

            jobs = [honest, watch] + [work] * 40
            most = max(filter(None, in_threads(len(jobs), lambda n, still: jobs[n](n, still), 6)))
            assert 0 < most <= 20
            assert not {"peer_dead", "ping_timeout"} & set(ended(server)), ended(server)
            server.stop()


# Cables that are cut: nothing arrives, and nobody is told.


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("doing, reason, limit", [
    ("taking an answer", "peer_dead", 3), ("resting", "idle", 3), ("speaking", "stream_idle", 3),
])
def test_a_peer_behind_a_cut_cable_is_given_up_in_time(serve, doing, reason, limit):
    pool = {"keep_alive_timeout": "3s", "stream_idle_timeout": "3s" if doing == "speaking" else "30s",
            "min_data_rate": "off"}
    with Elsewhere() as elsewhere:
        with serve(pool, listener={"user_timeout": "3s"}, host=elsewhere.host, log=QUIET) as server:
            with elsewhere.call(lambda: Peer(server.address)) as peer:
                if doing == "taking an answer":
                    # More than it takes until the cable is cut: something is on its way then.
                    peer.send(get("/bytes?n=4000000000"))
                    until = time.monotonic() + 0.5
                    while time.monotonic() < until:
                        assert peer.socket.recv(1 << 20)
                elif doing == "resting":
                    assert peer.request().status == 200
                else:
                    peer.send("POST /count HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
                    assert eventually(lambda: server.in_flight() == 1)
                elsewhere.cut()
                began = time.monotonic()
                assert eventually(lambda: ended(server) == {reason: 1}, limit + 3, every=0.05), ended(server)
                assert limit - 1 <= time.monotonic() - began <= limit + 2
            assert eventually(lambda: server.active() == 0 == server.sockets())


# Nowhere to write to.


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder],
                             capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_costs_lines_and_no_request(small_disk):
    with Server(small_disk) as server:
        with Peer(server.address) as peer:
            for n in range(2000):
                assert peer.request(f"/hello?{'x' * 100}{n}").status == 200
        assert os.statvfs(small_disk).f_bavail == 0, "there is room left"
        assert eventually(lambda: server.metrics().total("wharf_log_lines_dropped_total") > 0)
        assert server.json("/health")["log_lines_dropped"] > 0
        # There is room again: lines are written again, and what was lost stays counted.
        server.stdout.write_bytes(b"")
        before = server.stdout.stat().st_size
        assert_serves(server)
        assert eventually(lambda: server.stdout.stat().st_size > before)
        server.signal(signal.SIGTERM)
        assert server.exited(within=5) == 0


def broken_pipe():
    """Both outputs are a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(reader)


OUTPUTS = {"closed": lambda: (os.close(1), os.close(2)), "a pipe that nobody reads": broken_pipe}


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_without_outputs_it_serves_and_ends_in_order(serve, outputs):
    with serve(prepare=OUTPUTS[outputs]) as server:
        for _ in range(50):
            assert_serves(server)
        with Peer(server.address) as peer:
            peer.send("no request\r\n\r\n")
            peer.closed(2)
        server.signal(signal.SIGTERM)
        assert server.exited(within=5) == 0


# The end without a word, and a new beginning.


def test_who_is_killed_starts_again_at_once_on_the_same_address(serve):
    with serve(log=QUIET) as server:
        for _ in range(3):
            with contextlib.ExitStack() as peers:
                crowd = [peers.enter_context(Peer(server.address)) for _ in range(50)]
                assert all(peer.request().status == 200 for peer in crowd)
                server.stop()
                # Their ends of these connections are still there, which keeps the port in use.
                server.restart()
                assert_serves(server)
                assert server.active() <= 1


def test_a_unix_socket_that_a_killed_process_left_is_taken_over(serve, tmp_path):
    path = tmp_path / "admin.sock"
    more = f"[admin]\naddress = \"unix:{path}\"\n"
    with serve() as server:
        text = server.text()
        begin = text.index("[admin]")
        end = text.index("[[listener]]")
        server.stop()
        server.file.write_text(text[:begin] + more + text[end:])
        server._is_ready = lambda: answers(path)
        for _ in range(2):
            server.restart()
            server.stop()
            assert path.exists()


def answers(path):
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        sock.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return b" 200 " in sock.recv(100)


# Memory that the kernel does not give.


@pytest.mark.heavy
def test_what_does_not_fit_into_the_memory_is_not_let_in(serve):
    """A kernel that runs out kills; the limit is found by itself so that it does not come to that."""
    with MemoryLimit(48 * MIB) as memory, serve(memory=memory, log=QUIET) as server:
        half = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 8000
        with connect_many(server.address, 4000, half) as crowd:
            crowd.serve(4.0)
            assert server.process.poll() is None, "killed"
            assert server.ask("/live")[0] == 200
            assert memory.most() < 48 * MIB
            rejected = server.metrics().by("wharf_connections_rejected_total", "reason")
            assert sum(rejected.values()) > 500, rejected
        assert eventually(lambda: server.active() == 0 == server.sockets(), 5.0)
        assert_serves(server)
        server.stop()
