"""A rolling restart behind the gateway: nobody notices, and nobody is run over when it comes back."""

import threading
import time
from contextlib import ExitStack

import pytest

from harness import Peer, Sampler, Upstream, answer, eventually, gateway, resident_bytes

MIB = 1 << 20
SERVERS, CLIENTS = 4, 40
IDEMPOTENT = {"retry": "idempotent", "retries": 2}
CHECKED = '[upstream.health_check]\npath = "/well"\ninterval = "200ms"\nfall = 1\nrise = 1\n'


class Counted(Upstream):
    """An upstream that counts what it has in hand, and the most of it since `watch`."""

    def __init__(self):
        super().__init__(self.work)
        self.counting, self.in_hand, self.most, self.served = threading.Lock(), 0, 0, 0

    def work(self, request, _):
        if request.target == "/well":
            return answer()
        with self.counting:
            self.in_hand += 1
            self.most = max(self.most, self.in_hand)
        time.sleep(0.05)
        with self.counting:
            self.in_hand -= 1
            self.served += 1
        return answer()

    def watch(self):
        """From now on."""
        with self.counting:
            self.most = self.served = 0


def client(server, statuses, stop):
    """Asks again as soon as it has its answer; a connection that the gateway ends is a failure too."""
    with Peer(server.address, timeout=20) as peer:
        while not stop.is_set():
            statuses.append(peer.request("/").status)


@pytest.mark.heavy
def test_a_rolling_restart_costs_no_request_that_may_be_repeated_and_ends_in_no_herd(serve):
    with ExitStack() as stack:
        upstreams = [stack.enter_context(Counted()) for _ in range(SERVERS)]
        text = gateway(*upstreams, route=IDEMPOTENT, sections=CHECKED)
        server = stack.enter_context(serve(log={"access": False}, more=text))
        stop, clients, told = threading.Event(), [], []
        for _ in range(CLIENTS):
            statuses = []
            told.append(statuses)
            clients.append(threading.Thread(target=client, args=(server, statuses, stop), daemon=True))
        for one in clients:
            one.start()
        try:
            for upstream in upstreams:
                time.sleep(0.5)
                upstream.stop()
                # Long enough to be missed by the checks, which take it back at once when it is there again.
                time.sleep(1)
                upstream.watch()
                upstream.start()
                # It is asked again, though others do well without it …
                assert eventually(lambda: upstream.served > 20, 20, 0.05), upstream.served
                # … but not by all at once: there are as many others, who have nothing against them.
                assert upstream.most <= CLIENTS // 2, upstream.most
        finally:
            stop.set()
            for one in clients:
                one.join(20)
        assert not any(one.is_alive() for one in clients)
        answered = [status for statuses in told for status in statuses]
        assert len(answered) > 200 and set(answered) == {200}, (len(answered), set(answered))


@pytest.mark.long
def test_a_gibibyte_goes_up_and_down_in_32_mib(serve):
    size, piece = 1024 * MIB, b"x" * (64 << 10)

    def respond(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            sock.sendall(piece)

    class Swallowing(Upstream):
        """It counts an upload and keeps none of it."""

        def _serve(self, sock, number):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                got = sock.recv(1)
                if not got:
                    return
                head += got
            if head.startswith(b"POST"):
                left = size
                while left:
                    left -= len(sock.recv(min(left, MIB)))
                sock.sendall(answer(body=str(size).encode()))
            else:
                respond(None, sock)
            self._serve(sock, number)

    with Swallowing() as upstream, serve(log={"access": False}, more=gateway(upstream)) as server:
        with Sampler(lambda: resident_bytes(server.pid), every=0.02) as memory:
            with Peer(server.address, timeout=60) as peer:
                peer.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(size // len(piece)):
                    peer.send(piece)
                assert peer.response().body == str(size).encode()
            with Peer(server.address) as peer:
                peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                peer.socket.settimeout(20)
                got = 0
                while got < size:
                    more = len(peer.socket.recv(MIB))
                    assert more, got
                    got += more
        assert max(memory.values) < 32 * MIB, max(memory.values) / MIB
