"""WebSocket sessions and gRPC calls through the gateway."""

import asyncio
import contextlib
import os
import signal
import struct
import threading
import time

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import pytest
import websockets.asyncio.server
import websockets.sync.client
from concurrent.futures import ThreadPoolExecutor
from grpc import StatusCode

from harness import H2, Nobody, Peer, Upstream, Ws, WsStream, answer, eventually, free_port, gateway
from harness.ws import BINARY, CLOSE, PING, PONG, TEXT, handshake

QUIET = {"access": False}
ALL = {"protocols": ["http", "http2", "grpc", "websocket"]}
BAD_GATEWAY, AWAY = 1014, 1001


@pytest.fixture
def serve_gateway(serve):
    def start(*endpoints, route=None, upstream=None, **more):
        text = gateway(*endpoints, route=route, upstream=upstream)
        return serve(**{"log": QUIET, "listener": ALL, "more": text} | more)
    return start


# Sessions.


class Sessions:
    """A WebSocket server of the library `websockets`: an echo, with compression and subprotocols."""

    def __init__(self, **options):
        self.options = options
        self.port, self.open, self.heads = free_port(), 0, []
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.loop, ready = asyncio.new_event_loop(), threading.Event()

        async def serve():
            async with websockets.asyncio.server.serve(self.echo, "127.0.0.1", self.port, **self.options):
                self.over = asyncio.Event()
                ready.set()
                await self.over.wait()

        self.thread = threading.Thread(target=lambda: self.loop.run_until_complete(serve()), daemon=True)
        self.thread.start()
        assert ready.wait(5)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)

    async def echo(self, session):
        self.open += 1
        self.heads.append(session.request)
        try:
            async for message in session:
                await session.send(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            self.open -= 1


def url(server, path="/"):
    return "ws://%s:%d%s" % (*server.address, path)


def test_a_session_of_http1_goes_through_with_everything_that_was_agreed_on(serve_gateway):
    with Sessions(subprotocols=["chat", "echo"]) as upstream, serve_gateway(upstream) as server:
        with websockets.sync.client.connect(url(server, "/a?b"), subprotocols=["echo"]) as session:
            assert session.subprotocol == "echo"
            assert "permessage-deflate" in session.response.headers["Sec-WebSocket-Extensions"]
            for message in ("hello", b"\0\1", "x" * 100_000, ""):
                session.send(message)
                assert session.recv(5) == message
            session.send(["a", "b", "c"])
            assert session.recv(5) == "abc"
            assert session.ping().wait(5)
        head = upstream.heads[0]
        assert head.path == "/a?b" and head.headers["X-Forwarded-For"] == "127.0.0.1"
        assert eventually(lambda: upstream.open == 0)
        pools = {it["name"]: it for it in server.json("/pools")["pools"]}
        assert pools["web/websocket"]["metrics"]["accepted"] == 1


def test_a_session_of_http2_goes_through(serve_gateway):
    with Sessions(subprotocols=["chat", "echo"]) as upstream, serve_gateway(upstream) as server, \
            H2(server.address) as peer:
        more = [("sec-websocket-protocol", "chat, echo"), ("origin", "http://a")]
        session = WsStream(peer, path="/a", more=more)
        assert session.status == 200 and session.fields["sec-websocket-protocol"] == "chat"
        assert not {"sec-websocket-accept", "upgrade", "connection"} & set(session.fields)
        session.say(TEXT, b"hello")
        assert session.hear() == (TEXT, b"hello")
        large = os.urandom(50_000)
        session.say(BINARY, large)
        assert session.hear(10) == (BINARY, large)
        session.say(PING, b"p")
        assert session.hear() == (PONG, b"p")
        head = upstream.heads[0]
        assert head.path == "/a" and head.headers["Origin"] == "http://a"
        session.say(CLOSE, struct.pack("!H", 1000))
        assert session.heard_close() == 1000
        assert session.ended() == "end"
        # The connection goes on.
        assert eventually(lambda: upstream.open == 0)
        other = WsStream(peer, stream=3, more=more)
        other.say(TEXT, b"again")
        assert other.hear() == (TEXT, b"again")


def test_two_sessions_of_one_connection_do_not_mix(serve_gateway):
    with Sessions() as upstream, serve_gateway(upstream) as server, H2(server.address) as peer:
        sessions = [WsStream(peer, stream=n) for n in (1, 3, 5)]
        for turn in range(20):
            for session in sessions:
                session.say(TEXT, b"%d %d" % (session.stream, turn))
        for turn in range(20):
            for session in sessions:
                assert session.hear() == (TEXT, b"%d %d" % (session.stream, turn))
        [pool] = [it for it in server.json("/pools")["pools"] if it["name"] == "web/websocket"]
        assert pool["sessions"] == 3


def test_the_rules_of_sessions_hold_before_the_upstream(serve_gateway):
    pools = {"websocket": {"max_message_size": "1KiB", "max_frame_size": "1KiB", "max_connections": 1}}
    with Sessions() as upstream, serve_gateway(upstream, pools=pools) as server:
        with Ws(server.address, "/") as session:
            with Peer(server.address) as other:
                other.send(handshake("/"))
                assert other.response().status == 503, "there is one place"
            session.say(TEXT, b"x" * 1025)
            assert session.heard_close() == 1009
        assert eventually(lambda: upstream.open == 0)


@pytest.mark.parametrize("version", ["http1", "http2"])
def test_a_client_whose_upstream_vanishes_is_told(serve_gateway, version):
    def respond(request, sock):
        sock.sendall(accepting(request))
        sock.recv(100)
        return Upstream.CLOSE

    with Upstream(respond) as upstream, serve_gateway(upstream) as server:
        if version == "http1":
            with Ws(server.address, "/") as session:
                session.say(TEXT, b"a")
                assert session.heard_close() == BAD_GATEWAY
        else:
            with H2(server.address) as peer:
                session = WsStream(peer)
                session.say(TEXT, b"a")
                assert session.heard_close() == BAD_GATEWAY


def test_a_drain_says_close_to_sessions_of_upstreams(serve_gateway):
    with Sessions() as upstream, serve_gateway(upstream) as server:
        with Ws(server.address, "/") as one, H2(server.address) as peer:
            other = WsStream(peer)
            server.signal(signal.SIGTERM)
            assert one.heard_close() == AWAY and other.heard_close() == AWAY
            one.say(CLOSE, struct.pack("!H", AWAY))
            other.say(CLOSE, struct.pack("!H", AWAY))
            assert server.exited(within=15) == 0
        assert eventually(lambda: upstream.open == 0)


def accepting(request, more=""):
    """The 101 to a handshake."""
    import base64
    import hashlib
    magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = hashlib.sha1((request.one("sec-websocket-key") + magic).encode()).digest()
    return (f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n{more}\r\n").encode()


# What is no 101, or not the one that was asked for: name → (answer, what a client of each version is told).
NO_SESSION = {
    "200": (answer(body=b"fine"), 200, 502),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, 502),
    "403": (answer("403 Forbidden", b"no"), 403, 403),
    "302": (answer("302 Found", b"", "Location: /x\r\n"), 302, 302),
    "500": (answer("500 Oh", b""), 500, 500),
    "101 without an accept": (
        b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 502, 502),
    "101 with another accept": (
        b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n", 502, 502),
    "101 to another protocol": (b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 502, 502),
    "a close": (b"", 502, 502),
}


@pytest.mark.parametrize("name", NO_SESSION)
@pytest.mark.parametrize("version", ["http1", "http2"])
def test_bytes_behind_a_handshake_go_nowhere_unless_there_is_a_session(serve_gateway, name, version):
    """Neither as frames to the upstream nor, where the client's connection goes on, as a request."""
    said, of_http1, of_http2 = NO_SESSION[name]
    after, over = [], threading.Event()

    def respond(request, sock):
        if request.target != "/ws":
            return answer(body=request.target.encode())
        sock.sendall(said)
        sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            after.append(sock.recv(1000))
        over.set()
        return Upstream.CLOSE

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with Upstream(respond) as upstream, serve_gateway(upstream) as server:
        if version == "http1":
            with Peer(server.address) as peer:
                peer.send(handshake("/ws").encode() + smuggled)
                assert peer.response(head_only=of_http1 == 204).status == of_http1
                peer.closed(1.0, must=False)
        else:
            with H2(server.address) as peer:
                session = WsStream(peer, path="/ws")
                assert session.status == of_http2
                session.send(smuggled)
                peer.wait(0.5)
        assert over.wait(5)
    assert not upstream.garbage
    if version == "http1" and of_http1 != 502:
        # Its connection goes on, and what it sends there are requests: wharf's own words for them.
        assert all(not piece or b"\r\nvia: 1.1 wharf\r\n" in piece for piece in after), after
    else:
        assert not [piece for piece in after if piece], after
        assert [it.target for it in upstream.asked][:1] == ["/ws"]


def test_a_client_that_asks_by_http_1_without_the_pool_gets_an_ordinary_answer(serve_gateway):
    with Upstream() as upstream, serve_gateway(upstream, listener={"protocols": ["http"]}) as server:
        with Peer(server.address) as peer:
            peer.send(handshake("/ws"))
            assert peer.response().status == 200
        assert not upstream.asked[0].all("upgrade") and not upstream.asked[0].all("connection")


# Calls.


def bytes_through(value):
    return value


class Calls:
    """A gRPC server of grpcio: bytes in, bytes out."""

    def __init__(self):
        self.port, self.deadlines, self.cancelled = free_port(), [], threading.Event()
        self.url = f"h2c://127.0.0.1:{self.port}"

    def __enter__(self):
        kinds = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
        }
        self.server = grpc.server(ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Echo", kinds)])
        assert self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait(5)

    def unary(self, message, context):
        context.set_trailing_metadata([("checksum", "7"), ("data-bin", b"\0\xff")])
        return message

    def slow(self, message, context):
        self.deadlines.append(context.time_remaining())
        context.add_callback(self.cancelled.set)
        time.sleep(float(message))
        return b"late"

    def fail(self, message, context):
        context.abort(StatusCode.FAILED_PRECONDITION, "no: ü")

    def bidi(self, messages, context):
        for message in messages:
            yield message

    def count(self, message, context):
        for n in range(int(message)):
            yield b"%d" % n


@contextlib.contextmanager
def channel_to(server):
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel("%s:%d" % server.address, options=options) as channel:
        yield channel


@pytest.fixture
def calls(serve_gateway):
    with Calls() as upstream, serve_gateway(upstream) as server, channel_to(server) as channel:
        yield upstream, server, channel


def code_of(call):
    with pytest.raises(grpc.RpcError) as failed:
        call()
    return failed.value


def test_a_unary_call_goes_through_with_its_trailers(calls):
    _, server, channel = calls
    answered, call = channel.unary_unary("/test.Echo/Unary").with_call(b"hello", timeout=5)
    assert answered == b"hello"
    trailers = dict(call.trailing_metadata())
    assert trailers["checksum"] == "7" and trailers["data-bin"] == b"\0\xff"
    assert eventually(lambda: server.metrics().total("wharf_grpc_calls_total", code="OK") == 1)


def test_a_status_goes_through_as_it_is(calls):
    error = code_of(lambda: calls[2].unary_unary("/test.Echo/Fail")(b"", timeout=5))
    assert (error.code(), error.details()) == (StatusCode.FAILED_PRECONDITION, "no: ü")
    error = code_of(lambda: calls[2].unary_unary("/test.Echo/Nothing")(b"", timeout=5))
    assert error.code() == StatusCode.UNIMPLEMENTED


def test_both_sides_of_a_call_stream_at_once(calls):
    """Each message comes back before the next is sent."""
    answered = threading.Semaphore(1)

    def messages():
        for n in range(50):
            assert answered.acquire(timeout=5)
            yield b"%d" % n * 1000

    replies = []
    for reply in calls[2].stream_stream("/test.Echo/Bidi")(messages(), timeout=20):
        replies.append(reply)
        answered.release()
    assert replies == [b"%d" % n * 1000 for n in range(50)]


def test_a_stream_of_many_messages_goes_through(calls):
    replies = list(calls[2].unary_stream("/test.Echo/Count")(b"5000", timeout=20))
    assert replies == [b"%d" % n for n in range(5000)]


def test_a_deadline_is_passed_on_less_what_has_passed(calls):
    upstream, _, channel = calls
    began = time.monotonic()
    # grpcio says it in whole milliseconds, rounded up, and in hundredths of a second from one second on.
    error = code_of(lambda: channel.unary_unary("/test.Echo/Slow")(b"3", timeout=0.9))
    assert error.code() == StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2.4
    assert 0 < upstream.deadlines[0] <= 0.902
    assert upstream.cancelled.wait(3), "nobody waits for it any more"


def test_a_caller_that_leaves_ends_its_call_at_the_upstream(calls):
    upstream, _, channel = calls
    call = channel.unary_unary("/test.Echo/Slow").future(b"3", timeout=10)
    assert eventually(lambda: upstream.deadlines)
    call.cancel()
    assert upstream.cancelled.wait(3)


def test_a_call_that_nobody_answers_is_unavailable(serve_gateway):
    nobody = Nobody()
    with serve_gateway(nobody.url.replace("http:", "h2c:")) as server, channel_to(server) as channel:
        error = code_of(lambda: channel.unary_unary("/test.Echo/Unary")(b"", timeout=5))
        assert error.code() == StatusCode.UNAVAILABLE
        told = dict(error.initial_metadata() or ()) | dict(error.trailing_metadata() or ())
        assert told["x-wharf-reason"] == "connect_refused"


def test_a_call_that_is_answered_late_is_deadline_exceeded(serve_gateway):
    with Calls() as upstream:
        with serve_gateway(upstream, route={"request_timeout": "300ms"}) as server:
            with channel_to(server) as channel:
                error = code_of(lambda: channel.unary_unary("/test.Echo/Slow")(b"2"))
                assert error.code() == StatusCode.DEADLINE_EXCEEDED


def test_the_health_of_wharf_is_told_by_wharf(calls):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    stub = health_pb2_grpc.HealthStub(calls[2])
    answered = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answered.status == health_pb2.HealthCheckResponse.SERVING


def test_calls_over_http1_upstreams_are_told_that_they_cannot_be(serve_gateway):
    """gRPC needs HTTP/2 to the endpoint; an answer without a status is none."""
    with Upstream() as upstream, serve_gateway(upstream) as server, channel_to(server) as channel:
        error = code_of(lambda: channel.unary_unary("/test.Echo/Unary")(b"", timeout=5))
        assert error.code() in (StatusCode.UNKNOWN, StatusCode.UNAVAILABLE, StatusCode.INTERNAL)
