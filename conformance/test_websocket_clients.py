"""Sessions of clients that others wrote: `websockets` of Python and `ws` of Node.js."""

import asyncio
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from harness import node

CLIENT = Path(__file__).resolve().parent / "sessions" / "client.js"
QUIET = {"access": False}
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture(params=["ws", "wss"])
def serve_sessions(serve, serve_tls, request):
    """A server with sessions, in plain and over TLS: `with start() as (server, url)`."""
    def start():
        if request.param == "ws":
            return Sessions("ws", serve(listener={"protocols": ["http", "websocket"]}, log=QUIET))
        return Sessions("wss", serve_tls(protocols=("https", "websocket")))
    return start


class Sessions:
    """A server, and where its sessions are."""

    def __init__(self, scheme, server):
        self.scheme, self.server = scheme, server

    def __enter__(self):
        server = self.server.__enter__()
        return server, f"{self.scheme}://localhost:{server.address[1]}/ws"

    def __exit__(self, *error):
        self.server.__exit__(*error)


def trust(url):
    """What `connect` needs to know about TLS."""
    if url.startswith("ws:"):
        return {}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"ssl": context}


def session(url, **options):
    return connect(url, max_size=None, **trust(url), **options)


def chunks(length, size=128 * KIB):
    """That many bytes in pieces, since a frame may be smaller than a message."""
    return [b"\7" * min(size, length - at) for at in range(0, length, size)]


async def ends(ws):
    """How the server ends a session: code and reason."""
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(ws.recv(), 5)
    return ws.close_code


# Python's.


def test_python_is_echoed_each_kind_of_message(serve_sessions):
    async def talk(url):
        async with session(url) as ws:
            for message in ("text", "späße ☕", "", b"", b"\0\xff", "x" * 200_000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(["in ", "many ", "fragments"])
            assert await ws.recv() == "in many fragments"
            assert await asyncio.wait_for(await ws.ping(b"anyone?"), 2) < 1
        assert ws.close_code == 1000

    with serve_sessions() as (server, url), server.expecting():
        asyncio.run(talk(url))


def test_python_is_answered_with_the_code_that_it_closes_with(serve_sessions):
    async def close_with(url, code):
        async with session(url) as ws:
            await ws.close(code, f"code {code}")
        return ws.protocol.close_rcvd.code

    with serve_sessions() as (server, url), server.expecting():
        for code in (1000, 1001, 1003, 1008, 1011, 3000, 4999):
            assert asyncio.run(close_with(url, code)) == code


def test_python_may_say_a_mebibyte_and_no_byte_more(serve_sessions):
    async def talk(url):
        async with session(url) as ws:
            await ws.send(chunks(MIB))
            assert await ws.recv() == b"\7" * MIB
        async with session(url) as ws:
            await ws.send(chunks(MIB + 1))
            assert await ends(ws) == 1009
        async with session(url) as ws:
            await ws.send(b"\7" * (256 * KIB + 1))
            assert await ends(ws) == 1009

    with serve_sessions() as (server, url):
        with server.expecting(closed={"message_too_large": 2}):
            asyncio.run(talk(url))


def test_python_is_not_offered_compression(serve_sessions):
    async def talk(url):
        async with session(url, compression="deflate") as ws:
            return ws.protocol.extensions

    with serve_sessions() as (_, url):
        assert asyncio.run(talk(url)) == []


@pytest.mark.parametrize("client", ["websockets", "ws"])
def test_both_agree_on_a_subprotocol(serve_sessions, client):
    async def talk(url):
        async with session(url, subprotocols=["chat", "echo"]) as ws:
            return ws.subprotocol

    with serve_sessions() as (_, url):
        agreed = asyncio.run(talk(url)) if client == "websockets" else node(CLIENT, "subprotocol", url)["protocol"]
        assert agreed == "echo"


# Node's.


def test_node_is_echoed_each_kind_of_message(serve_sessions):
    with serve_sessions() as (server, url), server.expecting():
        found = node(CLIENT, "messages", url)
        said = ["text", "späße ☕", "", {"binary": 0}, {"binary": 2}, "x" * 200_000]
        assert found["heard"] == said
        assert found["ended"]["code"] == 1000


def test_node_may_send_fragments_with_a_ping_between_them(serve_sessions):
    with serve_sessions() as (_, url):
        assert node(CLIENT, "fragments", url) == ["in many fragments"]


def test_node_is_answered_when_it_pings(serve_sessions):
    with serve_sessions() as (server, url), server.expecting():
        assert node(CLIENT, "ping", url) == {"answer": "anyone?", "ended": {"code": 1005, "reason": ""}}


def test_node_is_answered_with_the_code_that_it_closes_with(serve_sessions):
    with serve_sessions() as (server, url), server.expecting():
        ended = node(CLIENT, "closes", url)
        assert ended and all(end["code"] == int(code) for code, end in ended.items()), ended


def test_node_may_say_a_mebibyte_and_no_byte_more(serve_sessions):
    with serve_sessions() as (server, url):
        with server.expecting(closed={"message_too_large": 1}):
            found = node(CLIENT, "large", url)
        assert found["fits"]["heard"] == [{"binary": MIB}]
        assert found["over"]["ended"]["code"] == 1009 and not found["over"]["heard"]
