"""Events: in order, numbered, replayed to who comes again; what is missing is told."""

import json
import time

import pytest

from harness import Peer, connect_many, eventually, get


class Stream:
    """A stream of `/events`, read as it is asked for; each event is (id, name, data)."""

    def __init__(self, admin, query="", headers=""):
        self.peer = Peer(admin)
        self.peer.send(f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
        self.head = self.peer._take_until(b"\r\n\r\n", time.monotonic() + 5).decode()
        self.status = int(self.head.split(" ")[1])
        self.text, self.comments, self.retry = "", 0, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def next(self, within=5.0):
        until = time.monotonic() + within
        while True:
            while "\n\n" not in self.text:
                size = int(self.peer._take_until(b"\r\n", until), 16)
                self.text += self.peer._take(size + 2, until)[:-2].decode()
            block, _, self.text = self.text.partition("\n\n")
            fields = {}
            for line in block.splitlines():
                name, _, value = line.partition(":")
                fields[name] = value.strip()
            self.comments += "" in fields
            self.retry = fields.get("retry", self.retry)
            if "data" in fields:
                data = json.loads(fields["data"])
                assert data["id"] == fields["id"] and data["event"] == fields["event"]
                return fields["id"], fields["event"], data

    def take(self, count, within=5.0):
        return [self.next(within) for _ in range(count)]


def visit(server, count=1):
    for _ in range(count):
        with Peer(server.address) as peer:
            assert peer.request().status == 200
    assert eventually(lambda: server.active() == 0)


def number(event):
    return int(event[0].split("-")[1])


def test_who_comes_again_hears_what_it_missed_and_nothing_twice(serve):
    with serve() as server:
        with Stream(server.admin) as stream:
            visit(server, 3)
            heard = stream.take(6)
        visit(server, 2)
        last = heard[3][0]
        with Stream(server.admin, headers=f"Last-Event-ID: {last}\r\n") as stream:
            again = stream.take(6)
            assert [number(event) for event in again] == list(range(5, 11))
            assert again[:2] == heard[4:]
            assert stream.retry and stream.comments
        with Stream(server.admin, f"?since={last}") as stream:
            assert stream.take(6) == again
        # A browser keeps the address and adds the header.
        with Stream(server.admin, f"?since={last}", f"Last-Event-ID: {again[3][0]}\r\n") as stream:
            assert stream.take(2) == again[4:]


def test_ids_grow_by_one_and_a_gap_is_told(serve):
    with serve(log={"access": False}) as server:
        with Stream(server.admin) as stream:
            visit(server)
            (first, _) = stream.take(2)
        with connect_many(server.address, 700) as crowd:
            assert eventually(lambda: server.active() > 0)
            crowd.serve(1)
        assert eventually(lambda: server.active() == 0, 5.0)
        with Stream(server.admin, f"?since={first[0]}") as stream:
            gap = stream.next()
            assert gap[1] == "gap" and gap[2]["missed"] >= 400
            rest = stream.take(1000)
        numbers = [number(event) for event in rest]
        assert numbers == list(range(numbers[0], numbers[0] + 1000))
        assert number(gap) == numbers[0] - 1 == number(first) + gap[2]["missed"]


def test_an_id_of_another_process_is_a_gap_of_unknown_size(serve):
    with serve() as server:
        visit(server)
        with Stream(server.admin, headers="Last-Event-ID: 17a0-5\r\n") as stream:
            gap, added, removed = stream.take(3)
            assert (gap[1], gap[2]["missed"]) == ("gap", None)
            assert (added[1], removed[1]) == ("connection_added", "connection_removed")


def test_a_stream_can_be_narrowed(serve):
    with serve() as server:
        query = "?type=connection_removed,config_changed&pool=web/http&since=0"
        with Stream(server.admin, query) as stream:
            visit(server, 2)
            assert server.write("/pools/web/http", "PATCH", {"max_connections": 9})[0] == 200
            assert server.write("/reload", "POST")[0] == 200
            names = [event[1] for event in stream.take(4)]
            assert names == ["connection_removed"] * 2 + ["config_changed"] * 2
        with Stream(server.admin, "?type=config_reloaded&since=0") as stream:
            (_, _, data) = stream.next()
            assert (data["result"], data["changes"], data["pool"]) == ("applied", 1, None)


@pytest.mark.parametrize("query", ["?type=nothing", "?pool=x", "?since=x", "?since=-", "?colour=red"])
def test_what_is_not_understood_is_refused(serve, query):
    with serve() as server:
        status, headers, body = server.ask(f"/events{query}")
        assert status == 400 and headers["content-type"].startswith("application/problem+json")
        assert json.loads(body)["errors"][0]["remedy"]


@pytest.mark.heavy
def test_a_client_that_does_not_read_costs_nothing_and_is_told_later(serve):
    with serve(log={"access": False}) as server:
        lazy = Peer(server.admin, receive_buffer=4096)
        lazy.send("GET /events?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        size = server.json("/health")["process"]["resident_bytes"]
        for _ in range(8):
            with connect_many(server.address, 1000, get()) as crowd:
                crowd.serve(3, lambda: len(crowd.answered(200)) == 1000)
            assert eventually(lambda: server.active() == 0, 5.0)
        began = time.monotonic()
        assert server.ask("/live")[0] == 200 and time.monotonic() - began < 0.1
        grown = server.json("/health")["process"]["resident_bytes"] - size
        # What 1,000 connections at once need stays with the allocator; 16,000 events do not.
        assert grown < 64 << 20, grown
        seen, until = b"", time.monotonic() + 10
        while b"event: gap" not in seen and time.monotonic() < until:
            seen += lazy.socket.recv(65536)
        assert b"event: gap" in seen
        lazy.close()
