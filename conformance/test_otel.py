"""OpenTelemetry: whose trace a request belongs to, what is said of it, and what a bad collector costs."""

import signal
import socket
import ssl
import subprocess
import time
from statistics import median

import pytest

from harness import H2, Authority, Peer, Upstream, binary, eventually, gateway, has_otel
from harness.collector import CLIENT, SERVER, Collector, plain, trace_service
from harness.h2 import data
from harness.server import _toml

pytestmark = pytest.mark.skipif(not has_otel(), reason="this wharf was built without the feature otel")

QUIET = {"access": False}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"
# What is sent is collected for a second.
SOON = 10.0


@pytest.fixture
def serve_followed(serve):
    """A server that tells this collector; `otel` are more keys of the section, `text` is more of the file."""
    def start(collector, text="", otel=None, **more):
        url = getattr(collector, "url", collector)
        keys = {"endpoint": url, "protocol": getattr(collector, "protocol", "http"), "interval": "300ms"}
        section = f"[otel]\n{_toml(keys | (otel or {}))}"
        return serve(**{"log": QUIET, "more": text + section} | more)
    return start


def fields(*lines):
    return "".join(f"{line}\r\n" for line in lines)


def once(collector, n=1, kind=SERVER):
    """The spans of a kind, when there are so many."""
    eventually(lambda: len(collector.spans(kind)) >= n, SOON)
    spans = collector.spans(kind)
    assert len(spans) == n, spans
    return spans


# Spans.


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_request_is_a_span_below_its_callers(serve_followed, protocol):
    with Collector(protocol) as collector, serve_followed(collector, otel={"service_name": "shop"}) as server:
        before = time.time()
        with Peer(server.address) as peer:
            sent = fields("GET /hello?token=secret HTTP/1.1", "Host: shop.example:8080", f"traceparent: {PARENT}",
                          "tracestate: a=1", "tracestate: b=2", "User-Agent: test/1", "")
            peer.send(sent)
            assert peer.response().status == 200
        [span] = once(collector)
        assert (span.trace, span.parent, span.state) == (TRACE, CALLER, "a=1,b=2")
        # Recorded, and its parent is known to be elsewhere.
        assert span.flags & 0x301 == 0x301 and span.kind == SERVER and not span.failed
        assert before - 1 < span.began <= span.ended < time.time() + 1
        assert span.name == "GET /"
        assert span.attributes == {
            "http.request.method": "GET", "url.path": "/hello", "url.scheme": "http", "http.route": "/",
            "http.response.status_code": 200, "http.response.body.size": 13, "network.protocol.version": "1.1",
            "server.address": "shop.example", "server.port": 8080, "client.address": "127.0.0.1",
            "client.port": span["client.port"], "user_agent.original": "test/1", "wharf.listener": "web",
            "wharf.protocol": "http", "wharf.connection.id": span["wharf.connection.id"],
        }
        assert span.resource["service.name"] == "shop" and span.resource["telemetry.sdk.language"] == "rust"
        assert "secret" not in str(span)


def test_a_request_without_a_caller_begins_a_trace_of_its_own(serve_followed):
    with Collector() as collector, serve_followed(collector, listener={"protocols": ["http", "http2"]}) as server:
        with Peer(server.address) as peer:
            assert [peer.request(path).status for path in ("/hello", "/nowhere")] == [200, 404]
        with H2(server.address) as h2:
            h2.request(1, "/hello")
            h2.response(1)
        spans = once(collector, 3)
        assert len({span.trace for span in spans}) == 3 and not any(span.parent for span in spans)
        assert [span["http.response.status_code"] for span in spans] == [200, 404, 200]
        assert [span["network.protocol.version"] for span in spans] == ["1.1", "1.1", "2"]
        assert not any(span.failed for span in spans)


def test_the_callers_decision_is_obeyed_and_the_share_is_kept_to(serve_followed):
    unsampled = PARENT.replace("-01", "-00")
    with Collector() as collector, serve_followed(collector, otel={"sample": "0%"}) as server:
        with Peer(server.address) as peer:
            for parent in [None] * 20 + [unsampled, PARENT]:
                peer.request("/hello", "GET", fields(f"traceparent: {parent}") if parent else "")
        [span] = once(collector)
        assert span.parent == CALLER
    with Collector() as collector, serve_followed(collector, otel={"sample": "50%"}) as server:
        with Peer(server.address) as peer:
            for _ in range(400):
                peer.request("/hello")
            peer.request("/hello", "GET", fields(f"traceparent: {unsampled}"))
        eventually(lambda: sum(spans_total(server).values()) >= 100, SOON)
        time.sleep(1.5)
        # Of 400 with an even chance; outside of it once in 10^15.
        assert 120 < len(collector.spans()) < 280


def test_what_goes_wrong_is_told_in_a_word(serve_followed):
    with Collector() as collector, serve_followed(collector, may_panic=True) as server:
        with Peer(server.address) as peer:
            assert peer.request("/panic").status == 500
        with Peer(server.address) as peer:
            peer.send("GET /slow?ms=5000 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.3)
        with Peer(server.address) as peer:
            assert peer.request("/hello", "BREW").status in (404, 405)
        spans = {span["url.path"]: span for span in once(collector, 3)}
        assert spans["/panic"].failed and spans["/panic"]["error.type"] == "500"
        assert spans["/slow"].failed and spans["/slow"]["error.type"] == "cancelled"
        assert spans["/slow"]["http.response.status_code"] is None
        brew = spans["/hello"]
        assert (brew["http.request.method"], brew["http.request.method_original"]) == ("_OTHER", "BREW")
        assert brew.name == "HTTP /" and not brew.failed


def test_a_grpc_call_is_told_as_one(serve_followed):
    call = [("content-type", "application/grpc"), ("te", "trailers"), ("traceparent", PARENT)]
    empty = b"\0\0\0\0\0"
    with Collector() as collector, \
            serve_followed(collector, listener={"protocols": ["http", "http2", "grpc"]}) as server:
        with H2(server.address) as h2:
            for stream, method in ((1, "wharf.demo.v1.Echo/Unary"), (3, "wharf.demo.v1.Echo/Nothing")):
                h2.request(stream, f"/{method}", "POST", call)
                h2.send(data(stream, empty, end_stream=True))
                h2.response(stream)
        known, unknown = sorted(once(collector, 2), key=lambda span: span["url.path"], reverse=True)
        assert known.name == "wharf.demo.v1.Echo/Unary" == known["rpc.method"]
        assert (known["rpc.system.name"], known["rpc.response.status_code"]) == ("grpc", "OK")
        assert known.parent == CALLER and known["wharf.protocol"] == "grpc" and not known.failed
        # A name that the peer has made up is none.
        assert unknown.name == "_OTHER" and unknown["rpc.response.status_code"] == "UNIMPLEMENTED"
        assert unknown.failed


# The gateway.


def test_an_upstream_is_asked_as_a_child_of_the_request(serve_followed):
    with Collector() as collector, Upstream() as upstream, \
            serve_followed(collector, gateway(upstream)) as server:
        with Peer(server.address) as peer:
            sent = fields(f"traceparent: {PARENT}", "tracestate: a=1", "tracestate: b=2")
            assert peer.request("/a?b=c", "GET", sent).status == 200
        [request], [attempt] = once(collector), once(collector, kind=CLIENT)
        assert (request.trace, attempt.trace) == (TRACE, TRACE)
        assert attempt.parent == request.id and request.parent == CALLER
        [asked] = upstream.asked
        assert asked.one("traceparent") == f"00-{TRACE}-{attempt.id}-01"
        assert asked.all("tracestate") == ["a=1", "b=2"]
        host, port = upstream.address
        assert attempt.attributes == {
            "http.request.method": "GET", "http.response.status_code": 200, "server.address": host,
            "server.port": port, "url.full": f"http://{host}:{port}/a", "network.protocol.version": "1.1",
            "wharf.upstream": "api",
        }
        assert request.began <= attempt.began <= attempt.ended <= request.ended + 0.001


def test_each_attempt_is_a_span(serve_followed):
    retry = {"retry": "idempotent", "retries": 2}
    broken = lambda request, sock: Upstream.CLOSE
    with Collector() as collector, Upstream(broken) as bad, Upstream() as good, \
            serve_followed(collector, gateway(bad, good, route=retry, upstream={"balance": "round_robin"})) as server:
        with Peer(server.address) as peer:
            for _ in range(2):
                assert peer.request("/").status == 200
        requests, attempts = once(collector, 2), collector.spans(CLIENT)
        failed = [attempt for attempt in attempts if attempt.failed]
        assert len(attempts) == 2 + len(failed) and failed
        assert {attempt["error.type"] for attempt in failed} <= {"broken", "unsent"}
        again = [attempt for attempt in attempts if attempt["http.request.resend_count"]]
        assert len(again) == len(failed)
        assert {attempt.parent for attempt in attempts} == {request.id for request in requests}
        told = {asked.one("traceparent")[36:52] for asked in bad.asked + good.asked}
        assert told <= {attempt.id for attempt in attempts}


def test_an_attempt_that_is_given_up_is_told(serve_followed):
    slow = lambda request, sock: time.sleep(3)
    with Collector() as collector, Upstream(slow) as upstream, \
            serve_followed(collector, gateway(upstream)) as server:
        with Peer(server.address) as peer:
            peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(lambda: upstream.asked)
        [request], [attempt] = once(collector), once(collector, kind=CLIENT)
        assert (request["error.type"], attempt["error.type"]) == ("cancelled", "cancelled")


def test_a_trace_that_is_not_recorded_goes_on_as_it_is(serve_followed):
    unsampled = PARENT.replace("-01", "-00")
    with Collector() as collector, Upstream() as upstream, \
            serve_followed(collector, gateway(upstream), otel={"sample": "0%"}) as server:
        with Peer(server.address) as peer:
            peer.request("/", "GET", fields(f"traceparent: {unsampled}", "tracestate: a=1"))
            # Whoever is asked next must not begin to record in the middle.
            peer.request("/", "GET", fields("tracestate: a=1"))
        parent, root = upstream.asked
        assert parent.one("traceparent") == unsampled and parent.one("tracestate") == "a=1"
        assert root.one("traceparent").startswith("00-") and int(root.one("traceparent")[-2:], 16) & 1 == 0
        assert root.one("tracestate") is None
        time.sleep(1.5)
        assert not collector.spans() and not collector.spans(CLIENT)


def test_without_a_collector_a_trace_passes_untouched(serve):
    with Upstream() as upstream, serve(log=QUIET, more=gateway(upstream)) as server:
        with Peer(server.address) as peer:
            for parent in (PARENT, "nonsense"):
                peer.request("/", "GET", fields(f"traceparent: {parent}", "tracestate: a=1"))
        assert [asked.one("traceparent") for asked in upstream.asked] == [PARENT, "nonsense"]
        assert [asked.one("tracestate") for asked in upstream.asked] == ["a=1", "a=1"]


HOSTILE = [
    ["traceparent: "],
    ["traceparent: " + "0" * 30_000],
    ["traceparent: " + PARENT.upper()],
    ["traceparent: ff" + PARENT[2:]],
    ["traceparent: " + PARENT + "-more"],
    [f"traceparent: 00-{'0' * 32}-{CALLER}-01"],
    [f"traceparent: 00-{TRACE}-{'0' * 16}-01"],
    [f"traceparent: {PARENT}", f"traceparent: {PARENT}"],
    ["traceparent: \xff\xfe" + PARENT[2:]],
    ["traceparent: <script>alert(1)</script>", "tracestate: " + "a" * 20_000],
]


@pytest.mark.parametrize("lines", HOSTILE, ids=range(len(HOSTILE)))
def test_a_malformed_parent_is_none_and_harms_nobody(serve_followed, lines):
    with Collector() as collector, Upstream() as upstream, \
            serve_followed(collector, gateway(upstream)) as server:
        with Peer(server.address) as peer:
            assert peer.request("/", "GET", fields(*lines, "tracestate: evil=1")).status == 200
        [span], [attempt] = once(collector), once(collector, kind=CLIENT)
        assert not span.parent and span.trace != TRACE and span.state == ""
        [asked] = upstream.asked
        assert asked.one("traceparent")[:-2] == f"00-{span.trace}-{attempt.id}-"
        assert asked.all("tracestate") == []


def test_texts_of_peers_are_cut(serve_followed):
    with Collector() as collector, serve_followed(collector) as server:
        with Peer(server.address) as peer:
            path, agent = "/" + "p" * 7000, "\u202e<script>".encode().decode("latin-1") + "u" * 9000
            assert peer.request(path, "GET", fields(f"User-Agent: {agent}")).status == 404
            assert peer.request("/", "X" * 20).status < 500
        long, made_up = once(collector, 2)
        assert len(long["url.path"]) == 1024 and 0 < len(long["user_agent.original"].encode()) <= 1024
        assert made_up["http.request.method"] == "_OTHER"


# Figures.


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_figures_are_those_of_the_metrics_page(serve_followed, protocol):
    with Collector(protocol) as collector, serve_followed(collector) as server:
        with Peer(server.address) as peer:
            for path in ("/hello", "/hello", "/nowhere"):
                peer.request(path)
        eventually(lambda: "http.server.request.duration" in collector.figures(), SOON)
        figures = collector.figures()
        [requests] = [plain(point.attributes) | {"n": point.as_int} for point in figures["wharf_requests"].sum.data_points
                      if plain(point.attributes).get("status_class") == "2xx"]
        assert requests == {"listener": "web", "protocol": "http", "status_class": "2xx", "n": 2}
        assert figures["wharf_requests"].sum.is_monotonic and figures["wharf_requests"].sum.aggregation_temporality == 2
        points = {plain(point.attributes)["http.response.status_code"]: point
                  for point in figures["http.server.request.duration"].histogram.data_points}
        assert {status: point.count for status, point in points.items()} == {200: 2, 404: 1}
        assert plain(points[200].attributes) == {
            "http.request.method": "GET", "url.scheme": "http", "network.protocol.version": "1.1",
            "http.response.status_code": 200, "http.route": "/", "wharf.listener": "web",
        }
        assert sum(points[200].bucket_counts) == 2 and len(points[200].explicit_bounds) == 14
        assert figures["http.server.request.duration"].unit == "s"
        assert figures["process.memory.usage"].unit == "By"
        # Every family of the page that has a sample is there, by its name or by that of the conventions.
        theirs = {"process_resident_memory_bytes": "process.memory.usage", "process_cpu_seconds": "process.cpu.time",
                  "process_open_fds": "process.unix.file_descriptor.count"}
        samples = server.metrics().names()
        known = {name.removesuffix("_total").removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
                 for name in samples}
        assert {theirs.get(name, name) for name in known} <= set(figures)
        durations = figures["wharf_request_duration_seconds"].histogram.data_points
        [point] = [point for point in durations if point.count]
        assert point.count == sum(point.bucket_counts) == 3 and len(point.bucket_counts) == len(point.explicit_bounds) + 1


def test_only_what_is_wanted_is_sent(serve_followed):
    with Collector() as collector, serve_followed(collector, otel={"signals": ["metrics"]}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello", "GET", fields(f"traceparent: {PARENT}"))
        assert eventually(collector.figures, SOON)
        time.sleep(1.2)
        assert not collector.spans()
    with Collector() as collector, serve_followed(collector, otel={"signals": ["traces"]}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
        once(collector)
        assert not collector.figures()


# Bad collectors.


def spans_total(server):
    return server.metrics().by("wharf_otel_spans_total", "result")


def test_a_collector_that_is_away_costs_spans_and_no_request(serve_followed):
    with Collector() as collector:
        collector.stop()
        with serve_followed(collector, otel={"queue": 100}) as server:
            with Peer(server.address) as peer:
                for _ in range(1500):
                    assert peer.request("/hello").status == 200
            eventually(lambda: spans_total(server).get("dropped", 0) > 0, SOON)
            told = spans_total(server)
            # One batch may be on its way, and a hundred wait.
            assert told["dropped"] >= 1500 - 2 * 612, told
            trouble = lambda: [line for line in server.lines() if line.get("message") == "the collector takes nothing"]
            assert eventually(trouble, SOON)
            collector.start()
            eventually(lambda: collector.spans(), 30)
            assert eventually(lambda: spans_total(server).get("sent", 0) > 0, SOON)
            told = spans_total(server)
            assert sum(told.values()) <= 1500
            # Of spans, of figures.
            assert len(trouble()) <= 2


def test_a_collector_that_never_answers_slows_nobody(serve_followed):
    hole = socket.create_server(("127.0.0.1", 0), backlog=64)
    url = "http://127.0.0.1:%d" % hole.getsockname()[1]

    def took(server):
        times = []
        with Peer(server.address) as peer:
            for _ in range(300):
                began = time.perf_counter()
                assert peer.request("/hello").status == 200
                times.append(time.perf_counter() - began)
        return median(times)

    with hole, serve_followed(url, otel={"timeout": "60s"}) as server:
        followed = took(server)
        time.sleep(1.5)
        assert took(server) < max(3 * followed, 0.005)
        began = server.signal(signal.SIGTERM)
        assert server.exited(within=15) == 0
        # The drain's own time, and three seconds for the last spans.
        assert time.monotonic() - began < 8
        assert any("last spans" in line.get("message", "") for line in server.lines())


def test_what_is_left_is_sent_at_the_end(serve_followed):
    with Collector() as collector, serve_followed(collector, otel={"interval": "1h"}) as server:
        with Peer(server.address) as peer:
            assert peer.request("/hello").status == 200
        server.signal(signal.SIGTERM)
        assert server.exited(within=15) == 0
        [span] = collector.spans()
        assert span["url.path"] == "/hello"
        assert collector.figures()["wharf_connections_active"]


def test_what_a_collector_can_not_take_now_is_sent_again_and_what_it_never_will_is_not(serve_followed):
    with Collector(answer=lambda signal, n: 503 if n < 3 else None) as collector, \
            serve_followed(collector, otel={"signals": ["traces"]}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
        once(collector)
        assert len(collector.asked) == 3
        assert eventually(lambda: spans_total(server) == {"sent": 1})
    with Collector("grpc", answer=lambda signal, n: 3) as collector, \
            serve_followed(collector, otel={"signals": ["traces"]}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
        assert eventually(lambda: spans_total(server) == {"failed": 1}, SOON)
        time.sleep(1.5)
        assert len(collector.asked) == 1


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_what_a_collector_does_not_want_is_counted(serve_followed, protocol):
    partial = trace_service.ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 2
    with Collector(protocol, answer=lambda signal, n: partial) as collector, \
            serve_followed(collector, otel={"signals": ["traces"]}) as server:
        with Peer(server.address) as peer:
            for _ in range(3):
                peer.request("/hello")
        assert eventually(lambda: sum(spans_total(server).values()) == 3, SOON)
        assert spans_total(server)["rejected"] >= 2


# The configuration.


def test_another_collector_is_told_from_the_reload_on(serve_followed):
    with Collector() as first, Collector("grpc") as second, serve_followed(first) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
            once(first)
            text = server.file.read_text().replace(first.url, second.url).replace('"http"\ninterval', '"grpc"\ninterval')
            server.file.write_text(text)
            status, _, body = server.write("/reload", "POST")
            assert status == 200
            eventually(lambda: "otel.endpoint" in server.ask("/config/history")[2].decode())
            # The same connection.
            peer.request("/echo", "POST", body=b"x")
        assert once(second)[0]["url.path"] == "/echo" and len(first.spans()) == 1
        server.file.write_text(text.replace(f'endpoint = "{second.url}"\n', ""))
        assert server.write("/reload", "POST")[0] == 200
        with Peer(server.address) as peer:
            peer.request("/hello")
        time.sleep(1.5)
        assert len(second.spans()) == 1


def test_a_secret_is_sent_and_not_shown(serve_followed, tmp_path):
    (tmp_path / "otel.headers").write_text("authorization: Bearer s3cret-s3cret\nx-team: blue\n")
    with Collector() as collector, serve_followed(collector, otel={"headers_file": "otel.headers"}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
        once(collector)
        assert collector.headers[0]["authorization"] == "Bearer s3cret-s3cret"
        assert collector.headers[0]["x-team"] == "blue"
        (tmp_path / "otel.headers").write_text("authorization: Bearer 0ther-0ther\n")
        eventually(lambda: "otel.headers" in server.ask("/config/history")[2].decode(), SOON)
        shown = server.errors() + server.ask("/config")[2].decode() + server.ask("/config/history")[2].decode()
        assert "s3cret" not in shown and "0ther" not in shown
        eventually(lambda: collector.headers[-1]["authorization"] == "Bearer 0ther-0ther", SOON)


def test_a_collector_is_spoken_tls_to(serve_followed, tmp_path):
    authority = Authority()
    pair = authority.issue("localhost", "127.0.0.1").write(tmp_path, "collector")
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / pair["certificate"], tmp_path / pair["key"])
    with Collector(tls=context) as collector, serve_followed(collector, otel={"tls": {"ca": "ca.crt"}}) as server:
        with Peer(server.address) as peer:
            peer.request("/hello")
        once(collector)


def test_mistakes_are_told_at_their_place(tmp_path):
    listener = '[[listener]]\nname = "web"\naddress = "127.0.0.1:8080"\nprotocols = ["http"]\n'
    for line, why in [
        ('endpoint = "127.0.0.1:4318"', "http://127.0.0.1:4318"),
        ('endpoint = "h2c://127.0.0.1:4317"', "otel.endpoint"),
        ("sample = 0.1", '"0.1%"'),
        ('sample = "200%"', '"100%"'),
        ('signals = ["logs"]', '"traces"'),
        ('headers_file = "nowhere"', "authorization: Bearer"),
        ('endpoint = "http://a:1"\ntls = { ca = "x" }', "otel.tls"),
        ('endpont = "http://a:1"', 'did you mean "endpoint"?'),
        ('protocol = "json"', '"http" or "grpc"'),
    ]:
        (tmp_path / "wharf.toml").write_text(f"[otel]\n{line}\n{listener}")
        told = subprocess.run([binary(), "check", tmp_path / "wharf.toml"], capture_output=True, text=True)
        assert told.returncode == 1 and why in told.stdout + told.stderr, (line, told.stdout, told.stderr)
