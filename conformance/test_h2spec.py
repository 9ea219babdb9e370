"""The cases of h2spec, plain and over TLS."""

import socket
import threading

import pytest

from h2spec import CASES
from harness import H2, Server, tls_client
from harness.h2 import ping, settings


def ids(cases):
    return [str(case) for case in cases]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    listener = {"protocols": ["http", "http2"]}
    with Server(tmp_path_factory.mktemp("plain"), listener=listener) as server:
        yield lambda **how: H2(server.address, **how)
        server.stop()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    listener = {"protocols": ["https", "http2"], "tls": {"self_signed": True}}
    with Server(tmp_path_factory.mktemp("tls"), listener=listener) as server:
        yield lambda **how: H2(server.address, tls=tls_client(["h2"]), **how)
        server.stop()


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_plain(plain, case):
    with plain(greet=case.greeted) as peer:
        case.run(peer)


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_tls(tls, case):
    with tls(greet=case.greeted) as peer:
        case.run(peer)


def test_the_list_is_complete():
    places = [case.place for case in CASES]
    assert len(places) == len(set(places)) == 146 + 1, "146 and the one that h2spec calls strict"


class Deaf(threading.Thread):
    """A server that says what it is told to, and then takes everything and does nothing."""

    def __init__(self, says):
        super().__init__(daemon=True)
        self.says = says
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.address = self.listener.getsockname()
        self.open = []
        self.start()

    def run(self):
        try:
            while True:
                self.open.append(self.listener.accept()[0])
                self.open[-1].sendall(self.says)
        except OSError:
            pass


def test_each_case_can_fail():
    mild = Deaf(settings().serialize() + settings(ack=True).serialize())
    rude = Deaf(ping().serialize())
    passed = []

    def attempt(case):
        try:
            with H2((mild if case.greeted or case.place == "http2/3.5/2" else rude).address,
                    greet=case.greeted, patience=0.3) as peer:
                case.run(peer)
            passed.append(case.place)
        except AssertionError:
            pass

    threads = [threading.Thread(target=attempt, args=(case,)) for case in CASES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    for server in (mild, rude):
        server.listener.close()
    assert not passed
