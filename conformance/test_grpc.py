"""gRPC: every kind of call with clients that others wrote, and what a bad one is told."""

import importlib
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

# Samplers fork; the child uses no gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc
from hyperframe.frame import DataFrame, RstStreamFrame

from harness import (
    H2, Authority, Code, Peer, Sampler, eventually, in_threads, node, resident_bytes,
)
from harness.h2 import data, ping

HERE = Path(__file__).resolve().parent / "echo"
LATE, EARLY = 0.5, 0.01
QUIET = {"access": False}
MIB = 1 << 20
ALL = ["http", "http2", "grpc"]
SERVICE = "wharf.demo.v1.Echo"
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
HEALTH = health_pb2.HealthCheckResponse
# A channel of its own for each test, not one shared by all in the process.
ALONE = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(scope="session")
def echo(tmp_path_factory):
    """What protoc makes of the contract's service: `Request`, and `Stub`."""
    folder = tmp_path_factory.mktemp("echo")
    assert protoc.main(["", f"-I{HERE}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                        "echo.proto"]) == 0
    sys.path.insert(0, str(folder))
    messages = importlib.import_module("echo_pb2")
    stubs = importlib.import_module("echo_pb2_grpc")
    return SimpleNamespace(Request=messages.EchoRequest, Stub=stubs.EchoStub)


@pytest.fixture
def serve_grpc(serve):
    """A server that speaks gRPC beside HTTP on one port; `pool` are the keys of the gRPC pool."""
    def start(pool=None, protocols=ALL, **more):
        return serve(listener={"protocols": protocols}, pools={"grpc": pool or {}}, log=QUIET, **more)
    return start


def channel_to(server, options=()):
    return grpc.insecure_channel("%s:%d" % server.address, options=[*ALONE, *UNLIMITED, *options])


@pytest.fixture
def connect(echo):
    """Opens channels, and closes them at the end: `connect(server)` is an Echo stub."""
    channels = []

    def open_one(server, *options):
        channels.append(channel_to(server, options))
        stub = echo.Stub(channels[-1])
        stub.channel = channels[-1]
        return stub

    yield open_one
    for channel in channels:
        channel.close()


def code_of(call):
    """The status that a call ends with."""
    with pytest.raises(grpc.RpcError) as failed:
        call()
    return failed.value.code()


# A call by hand, where a library would not do what the test wants.


def framed(message, compressed=0):
    return struct.pack("!BI", compressed, len(message)) + message


def echo_request(text, delay_ms=0):
    """EchoRequest with short fields."""
    encoded = b"\x0a" + bytes([len(text)]) + text.encode() + b"\x18"
    while delay_ms >= 128:
        encoded, delay_ms = encoded + bytes([delay_ms % 128 + 128]), delay_ms // 128
    return encoded + bytes([delay_ms])


def call(peer, stream=1, method="Unary", message=None, more=(), kind="application/grpc", end=True):
    """Begins a call; with a message it is all of it."""
    fields = [("content-type", kind), ("te", "trailers"), *more]
    began = peer.request(stream, f"/{SERVICE}/{method}", method="POST", more=fields)
    if message is not None:
        peer.send(data(stream, framed(message), end_stream=end))
    return began


def status_of(peer, stream=1, within=5.0):
    """The number of the gRPC status of a call."""
    return int(peer.response(stream, within).headers["grpc-status"])


# Each kind of call.


def test_a_unary_call_is_answered(serve_grpc, connect, echo):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        assert stub.Unary(echo.Request(message="hello")).message == "hello"
        stub.channel.close()


def test_a_server_streams_as_many_as_asked_for(serve_grpc, connect, echo):
    with serve_grpc() as server:
        began = time.monotonic()
        replies = connect(server).ServerStream(echo.Request(message="m", repeat=5, delay_ms=100))
        assert [reply.message for reply in replies] == ["m"] * 5
        assert time.monotonic() - began >= 0.4


def test_a_client_streams_and_gets_one_answer(serve_grpc, connect, echo):
    with serve_grpc() as server:
        requests = (echo.Request(message=text) for text in ("one", "two", "three"))
        answer = connect(server).ClientStream(requests).message
        places = [answer.index(text) for text in ("one", "two", "three")]
        assert places == sorted(places)


def test_both_sides_stream_at_once(serve_grpc, connect, echo):
    with serve_grpc() as server:
        answered = threading.Event()

        def requests():
            for n in range(20):
                answered.clear()
                yield echo.Request(message=str(n))
                assert answered.wait(5), "the answer waits for more requests"

        replies = []
        for reply in connect(server).Bidi(requests()):
            replies.append(reply.message)
            answered.set()
        assert replies == [str(n) for n in range(20)]


def test_text_of_every_kind_comes_back(serve_grpc, connect, echo):
    with serve_grpc() as server:
        stub = connect(server)
        for text in ("", "\0", "äöü 漢字 🚢", "x" * (3 * MIB)):
            assert stub.Unary(echo.Request(message=text)).message == text


def test_pieces_of_any_size_make_the_same_message(serve_grpc):
    with serve_grpc() as server, H2(server.address) as peer:
        call(peer)
        for byte in framed(echo_request("slowly")):
            peer.send(data(1, bytes([byte])))
        peer.send(data(1, end_stream=True))
        answer = peer.response()
        assert answer.headers["grpc-status"] == "0" and answer.body.endswith(b"slowly")
        assert answer.headers["content-type"].startswith("application/grpc")


def test_a_thousand_calls_on_one_connection_are_one_connection(serve_grpc, connect, echo):
    with serve_grpc() as server:
        stub = connect(server)
        calls = [stub.Unary.future(echo.Request(message=str(n))) for n in range(1000)]
        assert [made.result(20).message for made in calls] == [str(n) for n in range(1000)]
        assert server.metrics().by("wharf_connections_active", "protocol") == {"grpc": 1}


def test_grpc_js_makes_each_kind_of_call(serve_grpc):
    with serve_grpc() as server:
        found = node(HERE / "client.js", "%s:%d" % server.address)
    assert found["unary"] == "one"
    assert found["deadline"] == {"code": StatusCode.DEADLINE_EXCEEDED.value[0]}
    assert found["server_stream"] == ["many"] * 3
    assert all(text in found["client_stream"] for text in "abc")
    assert found["bidi"] == ["x", "y"]


# Beside other protocols.


def test_a_route_and_a_call_share_one_port_and_are_counted_apart(serve_grpc, connect, echo):
    with serve_grpc() as server, Peer(server.address) as one, H2(server.address) as two:
        assert connect(server).Unary(echo.Request(message="rpc")).message == "rpc"
        assert one.request().body == two.get().body == b"Hello, World!"
        active = {"http": 1, "http2": 1, "grpc": 1}
        assert eventually(lambda: server.metrics().by("wharf_connections_active", "protocol") == active)


def test_a_route_and_a_call_share_one_connection(serve_grpc):
    with serve_grpc() as server, H2(server.address) as peer:
        call(peer, 1, message=echo_request("rpc"))
        assert status_of(peer, 1) == 0
        assert peer.get(3).body == b"Hello, World!"
        call(peer, 5, message=echo_request("rpc"))
        assert status_of(peer, 5) == 0
        assert server.metrics().by("wharf_connections_active", "protocol") == {"grpc": 1}


@pytest.mark.parametrize("kind, pool", [
    ("application/grpc", "grpc"), ("application/grpc+proto", "grpc"),
    ("application/grpc;charset=utf-8", "grpc"), ("application/grpc-web", "http2"),
    ("application/json", "http2"), ("application/grpcx", "http2"),
])
def test_the_content_type_of_the_first_request_says_which_pool(serve_grpc, kind, pool):
    with serve_grpc() as server, H2(server.address) as peer:
        call(peer, message=echo_request("x"), kind=kind)
        peer.response()
        assert server.metrics().by("wharf_connections_active", "protocol") == {pool: 1}


def test_a_call_over_tls_is_answered(serve, connect, echo, tmp_path):
    authority = Authority()
    keys = authority.issue("localhost").write(tmp_path)
    with serve(listener={"protocols": ["https", "http2", "grpc"], "tls": keys}, log=QUIET) as server:
        trust = grpc.ssl_channel_credentials(root_certificates=authority.chain_pem())
        with grpc.secure_channel("localhost:%d" % server.address[1], trust, options=ALONE) as channel:
            assert echo.Stub(channel).Unary(echo.Request(message="safe"), timeout=5).message == "safe"


# How calls end.


def test_an_unknown_method_and_an_unknown_service_are_unimplemented(serve_grpc, connect):
    with serve_grpc() as server, server.expecting():
        channel = connect(server).channel
        for path in (f"/{SERVICE}/Nothing", "/no.such.Service/Unary", "/x"):
            assert code_of(lambda: channel.unary_unary(path)(b"")) == StatusCode.UNIMPLEMENTED
        channel.close()


def test_a_call_ends_at_the_deadline_that_it_brings(serve_grpc):
    with serve_grpc() as server, server.expecting(), H2(server.address) as peer:
        began = call(peer, message=echo_request("late", 5000), more=[("grpc-timeout", "500m")])
        assert status_of(peer) == StatusCode.DEADLINE_EXCEEDED.value[0]
        assert 0.5 - EARLY <= time.monotonic() - began <= 0.5 + LATE
        assert eventually(lambda: server.in_flight() == 0, 0.2)
        call(peer, 3, message=echo_request("next"))
        assert status_of(peer, 3) == 0


def test_a_call_without_a_deadline_ends_at_request_timeout(serve_grpc):
    with serve_grpc({"request_timeout": "500ms"}) as server, H2(server.address) as peer:
        began = call(peer, message=echo_request("late", 5000))
        assert status_of(peer) == StatusCode.DEADLINE_EXCEEDED.value[0]
        assert 0.5 - EARLY <= time.monotonic() - began <= 0.5 + LATE


def test_the_deadline_that_a_call_brings_may_be_longer_than_ours(serve_grpc, connect, echo):
    with serve_grpc({"request_timeout": "500ms"}) as server:
        slow = echo.Request(message="slow", delay_ms=1200)
        assert connect(server).Unary(slow, timeout=5).message == "slow"


@pytest.mark.parametrize("brought", [(), [("grpc-timeout", "10S")]], ids=["none", "longer"])
def test_no_call_is_longer_than_max_call_duration(serve_grpc, brought):
    with serve_grpc({"max_call_duration": "700ms"}) as server, H2(server.address) as peer:
        began = call(peer, message=echo_request("late", 5000), more=brought)
        assert status_of(peer) == StatusCode.DEADLINE_EXCEEDED.value[0]
        assert 0.7 - EARLY <= time.monotonic() - began <= 0.7 + LATE


@pytest.mark.parametrize("written", ["", "1", "123456789S", "1x", "-1S", "1.5S", " 1S", "S"])
def test_a_deadline_that_is_none_does_no_harm(serve_grpc, written):
    with serve_grpc() as server, H2(server.address) as peer:
        call(peer, message=echo_request("x"), more=[("grpc-timeout", written)])
        assert status_of(peer) in (0, StatusCode.INTERNAL.value[0], StatusCode.INVALID_ARGUMENT.value[0])
        call(peer, 3, message=echo_request("y"))
        assert status_of(peer, 3) == 0


def test_a_cancelled_call_ends_its_handler(serve_grpc, connect, echo):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        late = stub.Unary.future(echo.Request(message="late", delay_ms=30_000), timeout=60)
        stream = stub.ServerStream(echo.Request(message="m", repeat=1000, delay_ms=100))
        assert next(stream).message == "m"
        assert eventually(lambda: server.in_flight() == 2)
        late.cancel(), stream.cancel()
        assert eventually(lambda: server.in_flight() == 0, 0.5)
        assert stub.Unary(echo.Request(message="next")).message == "next"
        stub.channel.close()


def test_a_panic_is_internal_and_costs_its_call_only(serve_grpc, connect, echo):
    with serve_grpc(may_panic=True) as server:
        stub = connect(server)
        other = stub.Unary.future(echo.Request(message="other", delay_ms=500))
        for _ in range(10):
            panicking = [("demo-panic", "1")]
            assert code_of(lambda: stub.Unary(echo.Request(), metadata=panicking)) == StatusCode.INTERNAL
        assert other.result(5).message == "other"
        assert eventually(lambda: server.in_flight() == 0, 0.5)
        assert server.metrics().total("wharf_connections_accepted_total", protocol="grpc") == 1


# Sizes.


def test_a_message_above_four_mebibytes_is_refused_and_the_connection_stays(serve_grpc, connect, echo):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        large = echo.Request(message="x" * (5 * MIB))
        assert code_of(lambda: stub.Unary(large)) == StatusCode.RESOURCE_EXHAUSTED
        assert code_of(lambda: stub.ClientStream(iter([large]))) == StatusCode.RESOURCE_EXHAUSTED
        assert stub.Unary(echo.Request(message="small")).message == "small"
        assert server.metrics().total("wharf_connections_accepted_total", protocol="grpc") == 1
        stub.channel.close()


@pytest.mark.parametrize("side", ["max_receive_message_length", "max_send_message_length"])
def test_the_limits_of_both_directions_are_exact(serve_grpc, connect, echo, side):
    with serve_grpc({side: "1KiB"}) as server:
        stub = connect(server)
        # One byte of tag and two of length stand before the text.
        assert len(stub.Unary(echo.Request(message="x" * 1021)).message) == 1021
        too_large = echo.Request(message="x" * 1022)
        assert code_of(lambda: stub.Unary(too_large)) == StatusCode.RESOURCE_EXHAUSTED
        assert stub.Unary(echo.Request(message="x")).message == "x"


def test_the_limits_of_a_call_follow_it_to_a_connection_of_another_pool(serve_grpc):
    with serve_grpc({"max_receive_message_length": "16B", "max_call_duration": "200ms"}) as server:
        with H2(server.address) as peer:
            assert peer.get(1).status == 200
            call(peer, 3, message=echo_request("x" * 20))
            assert status_of(peer, 3) == StatusCode.RESOURCE_EXHAUSTED.value[0]
            call(peer, 5, message=echo_request("x", delay_ms=2_000))
            assert status_of(peer, 5, within=1.0) == StatusCode.DEADLINE_EXCEEDED.value[0]
            assert server.metrics().by("wharf_connections_active", "protocol") == {"http2": 1}


def test_a_message_too_large_within_a_stream_ends_it(serve_grpc, connect, echo):
    with serve_grpc({"max_receive_message_length": "1KiB"}) as server:
        texts = ["a", "b", "x" * 2000]
        replies = connect(server).Bidi(echo.Request(message=text) for text in texts)
        assert next(replies).message == "a" and next(replies).message == "b"
        assert code_of(lambda: next(replies)) == StatusCode.RESOURCE_EXHAUSTED


def test_a_declared_size_costs_no_memory_before_its_bytes_come(serve_grpc):
    with serve_grpc({"stream_idle_timeout": "2s"}) as server, H2(server.address) as peer:
        call(peer, message=echo_request("warm"))
        peer.response()
        before = resident_bytes(server.pid)
        for stream in range(3, 203, 2):
            call(peer, stream)
            peer.send(data(stream, struct.pack("!BI", 0, 4 * MIB) + b"x"))
        peer.wait(0.5)
        assert resident_bytes(server.pid) - before <= 8 * MIB


@pytest.mark.heavy
def test_a_small_message_that_decompresses_to_much_is_refused(serve_grpc, connect, echo):
    with serve_grpc() as server:
        stub = connect(server)
        assert stub.Unary(echo.Request(message="warm")).message == "warm"
        bomb = echo.Request(message="\0" * (64 * MIB))
        before = resident_bytes(server.pid)
        with Sampler(lambda: resident_bytes(server.pid), every=0.002) as memory:
            code = code_of(lambda: stub.Unary(bomb, compression=grpc.Compression.Gzip))
        assert code == StatusCode.RESOURCE_EXHAUSTED
        assert max(memory.values) - before <= 16 * MIB
        assert stub.Unary(echo.Request(message="after")).message == "after"


def test_a_compressed_message_is_understood(serve_grpc, connect, echo):
    with serve_grpc() as server:
        text = "again and again " * 1000
        stub = connect(server)
        reply = stub.Unary(echo.Request(message=text), compression=grpc.Compression.Gzip)
        assert reply.message == text


# Those who keep silent, or speak too much.


def test_a_client_stream_in_which_nothing_comes_is_ended(serve_grpc):
    with serve_grpc({"stream_idle_timeout": "2s"}) as server, server.expecting():
        with H2(server.address) as peer:
            began = call(peer, method="ClientStream")
            found = peer.until(lambda f: f.stream_id == 1, 4)
            assert 2 - EARLY <= found.at - began <= 2 + LATE
            if not isinstance(found, RstStreamFrame):
                assert status_of(peer) in (StatusCode.CANCELLED.value[0],
                                           StatusCode.DEADLINE_EXCEEDED.value[0])
            call(peer, 3, message=echo_request("x"))
            assert status_of(peer, 3) == 0


def test_a_client_stream_in_which_something_comes_now_and_then_is_not(serve_grpc, connect, echo):
    with serve_grpc({"stream_idle_timeout": "1s"}) as server, server.expecting():
        def requests():
            for n in range(6):
                time.sleep(0.5)
                yield echo.Request(message=str(n))

        stub = connect(server)
        assert "5" in stub.ClientStream(requests()).message
        stub.channel.close()


def test_a_quiet_handler_is_not_the_silence_of_its_client(serve_grpc, connect, echo):
    with serve_grpc({"stream_idle_timeout": "1s", "request_timeout": "10s"}) as server:
        stub = connect(server)
        with server.expecting():
            assert stub.Unary(echo.Request(message="x", delay_ms=2500)).message == "x"
            replies = stub.ServerStream(echo.Request(message="y", repeat=2, delay_ms=2500))
            assert len(list(replies)) == 2
            stub.channel.close()


def test_an_idle_channel_is_told_to_leave(serve_grpc):
    with serve_grpc({"keep_alive_timeout": "2s"}) as server:
        with server.expecting(closed={"idle": 1}), H2(server.address) as peer:
            call(peer, message=echo_request("x"))
            assert status_of(peer) == 0
            began = time.monotonic()
            peer.ended(5)
            assert 2 - EARLY <= peer.ended_at - began <= 3 + LATE
            assert {code for code, _ in peer.goaways} == {Code.NO_ERROR}


def test_a_client_that_answers_no_ping_is_dead(serve_grpc):
    pool = {"keep_alive_time": "1s", "keep_alive_ack_timeout": "1s"}
    with serve_grpc(pool) as server:
        with server.expecting(closed={"ping_timeout": 1}), H2(server.address, pongs=False) as peer:
            call(peer, message=echo_request("x"))
            assert status_of(peer) == 0
            began = time.monotonic()
            peer.ended(5)
            assert 2 - EARLY <= peer.ended_at - began <= 2 + 2 * LATE


def test_more_pings_than_allowed_are_ended_only_where_that_is_asked_for(serve_grpc):
    with serve_grpc({"min_ping_interval": "5s"}) as server:
        with server.expecting(closed={"http2_abuse": 1}), H2(server.address) as peer:
            call(peer, message=echo_request("x"))
            assert status_of(peer) == 0
            for _ in range(5):
                peer.send(ping())
                peer.wait(0.1)
            peer.ended(2)
            assert peer.goaways[-1] == (Code.ENHANCE_YOUR_CALM, "too_many_pings")
    with serve_grpc() as server, server.expecting(), H2(server.address) as peer:
        call(peer, message=echo_request("x"))
        for _ in range(20):
            peer.send(ping())
            peer.wait(0.02)
        assert status_of(peer) == 0 and not peer.goaways


def test_a_full_pool_is_unavailable(serve_grpc):
    with serve_grpc({"max_connections": 1, "when_full": "refuse"}) as server:
        with H2(server.address) as first, H2(server.address) as second:
            call(first, message=echo_request("x"))
            assert status_of(first) == 0
            with server.expecting(rejected={"pool_limit": 1}):
                call(second, message=echo_request("x"))
                assert status_of(second) == StatusCode.UNAVAILABLE.value[0]
                second.ended(2)
            assert {code for code, _ in second.goaways} == {Code.NO_ERROR}
            call(first, 3, message=echo_request("x"))
            assert status_of(first, 3) == 0


# Health and reflection.


def health_of(stub):
    return health_pb2_grpc.HealthStub(stub.channel)


def test_health_is_told_for_all_and_for_the_service(serve_grpc, connect):
    with serve_grpc() as server:
        health = health_of(connect(server))
        for service in ("", SERVICE):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == HEALTH.SERVING
        unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
        assert code_of(lambda: health.Check(unknown)) == StatusCode.NOT_FOUND


def test_who_watches_is_told_at_once_that_the_server_drains(serve_grpc, connect):
    with serve_grpc(server={"drain_delay": "1s"}) as server:
        watch = health_of(connect(server)).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == HEALTH.SERVING
        began = server.signal(signal.SIGTERM)
        assert next(watch).status == HEALTH.NOT_SERVING
        assert time.monotonic() - began <= 0.1 + 0.1
        # And before the listener closes.
        Peer(server.address).close()
        assert server.exited(within=5) == 0


@pytest.mark.long
def test_ten_minutes_of_a_watch_in_which_nothing_changes(serve_grpc, connect):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        watch = health_of(stub).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == HEALTH.SERVING
        time.sleep(600)
        assert watch.is_active()
        watch.cancel()
        stub.channel.close()


def test_reflection_tells_the_services_and_their_messages(serve_grpc, connect):
    with serve_grpc() as server:
        database = ProtoReflectionDescriptorDatabase(connect(server).channel)
        assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())
        service = DescriptorPool(database).FindServiceByName(SERVICE)
        methods = ["Unary", "ServerStream", "ClientStream", "Bidi"]
        assert [method.name for method in service.methods] == methods
        fields = service.methods_by_name["Unary"].input_type.fields
        assert {f.name: f.number for f in fields} == {"message": 1, "repeat": 2, "delay_ms": 3}


# A drain.


def test_a_drain_finishes_the_streams_that_have_begun(serve_grpc, connect, echo):
    with serve_grpc(server={"drain_timeout": "10s"}) as server:
        asked = echo.Request(message="m", repeat=20, delay_ms=100)
        streams = [connect(server).ServerStream(asked) for _ in range(20)]
        assert all(next(stream).message == "m" for stream in streams)
        server.signal(signal.SIGTERM)
        assert [len(list(stream)) for stream in streams] == [19] * 20
        assert server.exited(within=10) == 0


@pytest.mark.heavy
@pytest.mark.parametrize("delay", ["0s", "1s"])
def test_a_drain_under_load_loses_no_call(serve_grpc, connect, echo, delay):
    with serve_grpc(server={"drain_delay": delay, "drain_timeout": "5s"}) as server:
        stubs = [connect(server) for _ in range(10)]
        served, over = [0] * len(stubs), threading.Event()

        def work(n, still):
            while still():
                try:
                    stubs[n].Unary(echo.Request(message="x"), timeout=10)
                    served[n] += 1
                except grpc.RpcError as error:
                    # The listener is gone, which is no call lost.
                    if over.is_set() and "connect" in error.details().lower():
                        return None
                    return f"{error.code()}: {error.details()}"
            return "the listener was never closed"

        def end():
            over.set()
            server.signal(signal.SIGTERM)

        killer = threading.Timer(1.5, end)
        killer.start()
        assert in_threads(len(stubs), work, 12) == [None] * len(stubs)
        assert sum(served) > 500
        assert server.exited(within=6) == 0


def test_a_watch_does_not_hold_up_the_end(serve_grpc, connect):
    with serve_grpc(server={"drain_timeout": "2s"}) as server:
        watch = health_of(connect(server)).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == HEALTH.SERVING
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=3) == 0
        assert time.monotonic() - began <= 3


# Honest load.


@pytest.mark.heavy
def test_a_client_that_cancels_a_quarter_of_its_calls_is_served(serve_grpc, connect, echo):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        for n in range(800):
            if n % 4:
                assert stub.Unary(echo.Request(message="x")).message == "x"
            else:
                late = stub.Unary.future(echo.Request(message="x", delay_ms=10_000))
                time.sleep(0.002)
                late.cancel()
        assert server.metrics().total("wharf_connections_accepted_total", protocol="grpc") == 1
        stub.channel.close()


def stream_bytes(server, connect, echo, total):
    """Sends that many bytes through one stream, a mebibyte at a time."""
    stub, received = connect(server), 0
    request = echo.Request(message="x" * MIB)
    for reply in stub.Bidi(request for _ in range(total // MIB)):
        received += len(reply.message)
    assert received == total
    assert server.metrics().total("wharf_connections_accepted_total", protocol="grpc") == 1
    stub.channel.close()


@pytest.mark.heavy
@pytest.mark.parametrize("total", [64 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.long)])
def test_a_large_transfer_with_its_probes_of_bandwidth_is_no_abuse(serve_grpc, connect, echo, total):
    with serve_grpc() as server, server.expecting():
        stream_bytes(server, connect, echo, total)


@pytest.mark.heavy
def test_many_small_messages_are_no_abuse(serve_grpc, connect, echo):
    with serve_grpc() as server, server.expecting():
        stub = connect(server)
        replies = stub.Bidi(echo.Request(message=str(n)) for n in range(20_000))
        assert sum(1 for _ in replies) == 20_000
        stub.channel.close()


def test_a_client_that_pings_a_hundred_times_a_second_during_calls_is_served(serve_grpc):
    with serve_grpc() as server, server.expecting(), H2(server.address) as peer:
        stream = 1
        for _ in range(300):
            peer.send(ping())
            call(peer, stream, message=echo_request("x"))
            assert status_of(peer, stream) == 0
            stream += 2
            time.sleep(0.005)
        assert not peer.goaways and any(isinstance(f, DataFrame) for f in peer.frames)
