"""What the tests are made of: the server as a process, peers of every kind, and views of the kernel."""

from .autobahn import autobahn
from .browser import Browser
from .documented import Documented
from .elsewhere import Elsewhere
from .etcd import Etcd
from .events import Events
from .example import Example
from .features import has_otel
from .h2 import H2, Code, Setting
from .kernel import cpu_seconds, descriptors, resident_bytes, sockets_of, sockets_to
from .load import Sampler, connect_many, in_threads
from .memory_limit import MemoryLimit
from .metrics import Metrics
from .node import node, node_command, node_modules
from .notified import Notified
from .once import once
from .origins import ByHand, Nginx, NodeServer
from .page import Page
from .peer import Closed, Peer, Response, get, post
from .prometheus import Prometheus
from .probe import Probe, warm
from .processor_share import ProcessorShare
from .server import REPOSITORY, Server, StartFailed, binary, free_port
from .standstill import Standstill
from .tls import Authority, TlsPeer, serial_of, tls_client
from .upstream import Asked, Nobody, Upstream, answer, gateway
from .wait import eventually
from .wall_clock import WallClock
from .ws import Ws
from .ws_stream import WsStream

__all__ = [
    "Asked",
    "Authority",
    "Browser",
    "ByHand",
    "Closed",
    "Code",
    "Documented",
    "Elsewhere",
    "Etcd",
    "Events",
    "Example",
    "H2",
    "MemoryLimit",
    "Metrics",
    "Nginx",
    "Nobody",
    "NodeServer",
    "Notified",
    "Page",
    "Peer",
    "Probe",
    "ProcessorShare",
    "Prometheus",
    "REPOSITORY",
    "Response",
    "Sampler",
    "Server",
    "Setting",
    "Standstill",
    "StartFailed",
    "TlsPeer",
    "Upstream",
    "WallClock",
    "Ws",
    "WsStream",
    "answer",
    "autobahn",
    "binary",
    "connect_many",
    "cpu_seconds",
    "descriptors",
    "eventually",
    "free_port",
    "gateway",
    "has_otel",
    "get",
    "in_threads",
    "node",
    "node_command",
    "node_modules",
    "once",
    "post",
    "resident_bytes",
    "serial_of",
    "sockets_of",
    "sockets_to",
    "tls_client",
    "warm",
]
