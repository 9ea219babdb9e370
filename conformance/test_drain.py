"""The end: nobody who behaves loses a request, nobody who misbehaves holds it up."""

import signal
import threading
import time

import pytest

from harness import Peer, Sampler, eventually, get, in_threads

QUIET = {"access": False}


class KeepAliveClients:
    """Clients that hold connections, look for EOF before each request, and open new ones until
    the listener is gone. Every request that they begin must be answered."""

    def __init__(self, server, count, pause=0.02):
        self.server, self.count, self.pause = server, count, pause
        self.served, self.failed = 0, []
        self.over = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.count)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(10)

    def finish(self, within):
        """Waits until the clients have found the listener gone."""
        until = time.monotonic() + within
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        assert not any(thread.is_alive() for thread in self.threads), "clients hang"

    def _run(self):
        while not self.over.is_set():
            try:
                peer = Peer(self.server.address)
            except ConnectionError:
                return  # the listener is gone
            except OSError as error:
                return self._note(error)
            with peer:
                self._use(peer)

    def _use(self, peer):
        while not self.over.is_set() and peer.is_open():
            try:
                answer = peer.request()
            except (OSError, EOFError) as error:
                return self._note(error)
            with self.lock:
                self.served += 1
                if answer.status != 200:
                    self.failed.append(answer.status)
            if answer.says_close:
                return None
            time.sleep(self.pause)
        return None

    def _note(self, error):
        with self.lock:
            self.failed.append(repr(error))


def drain_under_load(serve, settings, count=200):
    with serve(server=settings, log=QUIET) as server, KeepAliveClients(server, count) as clients:
        eventually(lambda: clients.served > 5 * count, 15)
        server.signal(signal.SIGTERM)
        delay = float(settings.get("drain_delay", "0s").rstrip("s"))
        assert server.exited(within=delay + 6) == 0
        clients.finish(within=5)
        assert not clients.failed, f"{len(clients.failed)} lost: {clients.failed[:5]}"
        assert clients.served > 5 * count


@pytest.mark.heavy
@pytest.mark.parametrize("delay", ["0s", "1s"])
@pytest.mark.parametrize("run", range(3))
def test_a_drain_under_load_loses_no_request(serve, delay, run):
    drain_under_load(serve, {"drain_delay": delay, "drain_timeout": "5s"})


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.parametrize("delay", ["0s", "1s"])
@pytest.mark.parametrize("run", range(20))
def test_twenty_drains_under_load_lose_no_request(serve, delay, run):
    drain_under_load(serve, {"drain_delay": delay, "drain_timeout": "5s"})


@pytest.mark.heavy
def test_a_drain_loses_no_request_of_clients_that_connect_for_each(serve):
    with serve(server={"drain_timeout": "5s"}, log=QUIET) as server:
        def work(_, still):
            served = 0
            while still():
                try:
                    peer = Peer(server.address)
                except ConnectionRefusedError:
                    return served
                with peer:
                    assert peer.request().status == 200
                served += 1
            raise AssertionError("the listener was never closed")

        killer = threading.Timer(1.0, server.signal, [signal.SIGTERM])
        killer.start()
        assert sum(in_threads(50, work, 8)) > 500
        assert server.exited(within=6) == 0


@pytest.mark.heavy
@pytest.mark.parametrize("run", range(3))
def test_requests_that_wait_in_the_backlog_are_served(serve, run):
    with serve(server={"drain_timeout": "5s"}, log=QUIET) as server:
        server.signal(signal.SIGSTOP)
        peers = [Peer(server.address) for _ in range(100)]
        for peer in peers:
            peer.send(get())
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        answers = [peer.response() for peer in peers]
        assert [answer.status for answer in answers] == [200] * 100
        assert server.exited(within=6) == 0
        for peer in peers:
            peer.close()


def hostile(server):
    """Peers that would hold up a drain for ever."""
    silent = Peer(server.address)
    half_head = Peer(server.address)
    half_head.send("GET /hello HTTP/1.1\r\nHost:")
    second_head = Peer(server.address)
    assert second_head.request().status == 200
    second_head.send("GET /hel")
    slow_body = Peer(server.address)
    slow_body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
    slow_reader = Peer(server.address, receive_buffer=4096)
    slow_reader.send(get("/bytes?n=67108864"))
    waiting = Peer(server.address)
    waiting.send(get("/slow?ms=60000"))
    chunks = Peer(server.address)
    chunks.send(get("/slow?ms=500&chunks=1000"))
    return [silent, half_head, second_head, slow_body, slow_reader, waiting, chunks]


@pytest.mark.parametrize("delay", [0, 1])
def test_hostile_peers_do_not_hold_up_the_end(serve, delay):
    settings = {"drain_timeout": "2s", "drain_delay": f"{delay}s"}
    with serve(server=settings) as server:
        peers = hostile(server)
        eventually(lambda: server.active() == len(peers))
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=2 + delay + 1) == 0
        assert time.monotonic() - began <= 2 + delay + 1
        ended = [entry for entry in server.lines() if "cut" in entry]
        assert ended and int(ended[-1]["cut"]) >= 1, server.tail()
        for peer in peers:
            peer.closed(1)
            peer.close()


def test_what_is_in_flight_may_end(serve):
    with serve(server={"drain_timeout": "5s"}) as server:
        with Peer(server.address) as slow, Peer(server.address) as chunks:
            slow.send(get("/slow?ms=2500"))
            chunks.send(get("/slow?ms=600&chunks=4"))
            eventually(lambda: server.in_flight() == 2)
            began = server.signal(signal.SIGTERM)
            answer = slow.response()
            assert (answer.status, answer.says_close) == (200, True)
            assert chunks.response().status == 200
            assert server.exited(within=5) == 0
            assert 2.0 <= time.monotonic() - began <= 4.0


def test_an_idle_server_ends_at_once_and_idle_connections_after_their_linger(serve):
    with serve() as server:
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=1) == 0
        assert time.monotonic() - began < 1
    with serve() as server, Peer(server.address) as idle, Peer(server.address) as late:
        assert idle.request().status == late.request().status == 200
        began = server.signal(signal.SIGTERM)
        time.sleep(1.0)
        answer = late.request()
        assert (answer.status, answer.says_close) == (200, True)
        closed = idle.closed(3)
        assert closed.how == "fin" and 1.4 <= closed.at - began <= 2.8
        assert server.exited(within=3) == 0


def test_a_connection_that_says_nothing_during_the_linger_still_gets_a_request_that_crosses(serve):
    with serve() as server, Peer(server.address) as silent:
        began = server.signal(signal.SIGTERM)
        time.sleep(1.0)
        assert silent.request().status == 200
        assert server.exited(within=4) == 0
        assert time.monotonic() - began < 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(serve, number):
    with serve() as server, Peer(server.address) as slow:
        slow.send(get("/slow?ms=20000"))
        eventually(lambda: server.in_flight() == 1)
        server.signal(number)
        time.sleep(0.4)
        assert server.process.poll() is None
        began = server.signal(number)
        server.exited(within=1)
        assert time.monotonic() - began <= 0.2 + 0.05


def test_a_drain_by_the_admin_api_is_the_same_as_by_signal(serve):
    settings = {"drain_delay": "1s", "drain_timeout": "5s"}
    with serve(server=settings) as server, Peer(server.address) as peer:
        assert not peer.request().says_close
        assert server.ask("/drain", "POST")[0] == 403
        assert server.ask("/ready")[0] == 200
        began = time.monotonic()
        status, _, _ = server.write("/drain", "POST")
        assert status in (200, 202)
        eventually(lambda: server.ask("/ready")[0] == 503, 1.0)
        assert server.ask("/ready")[0] == 503 and server.ask("/live")[0] == 200
        # Newcomers are still served during the delay, and told that this was their last request.
        with Peer(server.address) as newcomer:
            assert newcomer.request().says_close
        assert peer.request().says_close
        assert server.exited(within=5) == 0
        assert time.monotonic() - began >= 1.0


def test_readiness_fails_before_the_listener_closes(serve):
    with serve(server={"drain_delay": "1s"}) as server:
        def look():
            try:
                Peer(server.address).close()
                accepts = True
            except OSError:
                accepts = False
            try:
                return time.monotonic(), server.ask("/ready")[0], accepts
            except OSError:
                return time.monotonic(), None, accepts

        with Sampler(look, every=0.01) as sampler:
            began = server.signal(signal.SIGTERM)
            assert server.exited(within=5) == 0
        unready = min(at for at, status, _ in sampler.values if status == 503)
        closed = min(at for at, _, accepts in sampler.values if not accepts)
        assert unready - began < 0.2 and 0.9 <= closed - began <= 1.5


def test_a_signal_during_the_start_ends_it_cleanly(serve):
    for pause in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05):
        server = serve()
        original = server._is_ready
        server._is_ready = lambda: True
        with server:
            time.sleep(pause)
            server.signal(signal.SIGTERM)
            code = server.exited(within=3)
            # Before the handler is there the signal itself ends the process.
            assert code in (0, -signal.SIGTERM)
            assert "panicked" not in server.errors()
        server._is_ready = original
