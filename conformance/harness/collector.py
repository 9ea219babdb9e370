"""An OpenTelemetry collector: takes what is sent by OTLP, over HTTP or gRPC, and shows it to a test."""

import http.server
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# Samplers fork; the child uses no gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from .server import free_port

SERVER, CLIENT = Wire.SPAN_KIND_SERVER, Wire.SPAN_KIND_CLIENT
TRACES = (trace_service.ExportTraceServiceRequest, trace_service.ExportTraceServiceResponse)
METRICS = (metrics_service.ExportMetricsServiceRequest, metrics_service.ExportMetricsServiceResponse)


@dataclass
class Span:
    """A span as a test looks at it."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    state: str
    flags: int
    failed: bool
    began: float
    ended: float
    attributes: dict
    resource: dict

    def __getitem__(self, name):
        return self.attributes.get(name)


class Collector:
    """A collector from `with` to the end of it; `stop` and `start` in between take it away and bring it back.

    `answer(signal, n)` is asked for each message, the n-th of all: `None` takes it, a number is the status (HTTP)
    or the code (gRPC) by which it is refused, a response is what is said instead.
    """

    def __init__(self, protocol="http", tls=None, answer=None):
        self.protocol, self.tls = protocol, tls
        self.answer = answer or (lambda signal, n: None)
        self.port = free_port()
        self.lock = threading.Lock()
        self.traces, self.metrics, self.headers, self.asked = [], [], [], []
        self.running = None

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.running = (self._grpc if self.protocol == "grpc" else self._http)()

    def stop(self):
        running, self.running = self.running, None
        if running:
            running()

    # What has come.

    def spans(self, kind=SERVER):
        """Every span of that kind so far."""
        with self.lock:
            messages = list(self.traces)
        return [_span(span, of.resource) for message in messages for of in message.resource_spans
                for scope in of.scope_spans for span in scope.spans if span.kind == kind]

    def figures(self):
        """The last figures: points by the name of the metric."""
        with self.lock:
            messages = self.metrics[-1:]
        return {metric.name: metric for message in messages for of in message.resource_metrics
                for scope in of.scope_metrics for metric in scope.metrics}

    # How it comes.

    def _take(self, path, headers, message):
        """Notes a message; returns what to say to it, and whether that is a refusal."""
        kinds = TRACES if "trace" in path else METRICS
        signal = "traces" if kinds is TRACES else "metrics"
        request = kinds[0].FromString(message)
        with self.lock:
            self.asked.append(path)
            self.headers.append({key.lower(): value for key, value in headers})
            said = self.answer(signal, len(self.asked))
            if not isinstance(said, int):
                (self.traces if kinds is TRACES else self.metrics).append(request)
        return kinds[1]() if said is None else said

    def _http(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = self.rfile.read(int(self.headers["content-length"]))
                said = collector._take(self.path, self.headers.items(), message)
                status, body = (said, b"") if isinstance(said, int) else (200, said.SerializeToString())
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        server = Threads(("127.0.0.1", self.port), Handler)
        if self.tls:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def stop():
            server.shutdown()
            server.server_close()
        return stop

    def _grpc(self):
        def method(path):
            def export(message, context):
                said = self._take(path, context.invocation_metadata(), message)
                if isinstance(said, int):
                    codes = {code.value[0]: code for code in grpc.StatusCode}
                    context.abort(codes[said], "no")
                return said.SerializeToString()
            return grpc.unary_unary_rpc_method_handler(export)

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                return method(details.method)

        server = grpc.server(ThreadPoolExecutor(4), handlers=[Handler()], options=[("grpc.so_reuseport", 0)])
        assert server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        server.start()
        return lambda: server.stop(None).wait(5)


def plain(attributes):
    """Attributes as a dictionary."""
    return {it.key: getattr(it.value, it.value.WhichOneof("value")) for it in attributes}


def _span(span, resource):
    assert len(span.trace_id) == 16 and len(span.span_id) == 8 and len(span.parent_span_id) in (0, 8)
    keys = [it.key for it in span.attributes]
    assert len(keys) == len(set(keys)), keys
    return Span(
        span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.name, span.kind,
        span.trace_state, span.flags, span.status.code == Status.STATUS_CODE_ERROR,
        span.start_time_unix_nano / 1e9, span.end_time_unix_nano / 1e9,
        plain(span.attributes), plain(resource.attributes),
    )
