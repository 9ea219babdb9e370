"""Takes the pictures in docs/images: a server, clients of several kinds, a browser that looks, and a terminal.

The suite's own run has installed what this needs.
"""

import math
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness import Peer, Server, free_port, get
from harness.terminal import ENTER, Terminal, picture

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "docs/images"
AGENTS = ["curl/8.9.1", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0)", "kube-probe/1.31", "Go-http-client/1.1"]
CLIENTS = 90


def client(n, address, secured, over):
    """Comes, asks for things at its own pace, and goes; more often in waves."""
    context = ssl._create_unverified_context()  # noqa: S323  (the certificate is made in memory)
    while not over.is_set():
        try:
            with Peer(secured if n % 3 == 0 else address) as peer:
                if n % 3 == 0:
                    peer.socket = context.wrap_socket(peer.socket, server_hostname="localhost")
                for _ in range(random.randrange(5, 200)):
                    if over.is_set():
                        return
                    path = random.choice(["/hello"] * 8 + [f"/slow?ms={random.randrange(5, 120)}", "/bytes?n=20000"])
                    peer.send(get(path, f"User-Agent: {AGENTS[n % len(AGENTS)]}\r\n"))
                    peer.response()
                    wave = 1 + math.sin(time.monotonic() / 25)
                    over.wait(random.random() * (0.1 + 0.4 * wave))
        except (OSError, EOFError, AssertionError):
            over.wait(0.5)


def shoot(server, *more):
    url = "http://%s:%d/" % server.admin
    script = HERE / "dashboard/pictures.mjs"
    subprocess.run(["node", script, HERE / ".venv/browser", url, IMAGES, *more], check=True, timeout=120)


def shoot_top(server):
    size = (34, 132)
    with Terminal("top", "--admin", "http://%s:%d" % server.admin, size=size) as terminal:
        terminal.shows("web/http", "tls/https")
        terminal.read(5)
        shown = terminal.raw[terminal.raw.find(ENTER) + len(ENTER):]
        (IMAGES / "top.svg").write_text(picture(shown, size))
        terminal.press(b"q")
        terminal.left()


def main(seconds):
    IMAGES.mkdir(parents=True, exist_ok=True)
    secured = ("127.0.0.1", free_port())
    more = (f'[[listener]]\nname = "tls"\naddress = "{secured[0]}:{secured[1]}"\n'
            'protocols = ["https", "http2"]\ntls = { self_signed = true }\n')
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, {"max_connections": 60, "when_full": "refuse"}, more=more, log={"access": False},
                    listener={"protocols": ["http", "http2", "grpc", "websocket"]}) as server:
            over = threading.Event()
            clients = [threading.Thread(target=client, args=(n, server.address, secured, over), daemon=True)
                       for n in range(CLIENTS)]
            for thread in clients:
                thread.start()
            time.sleep(seconds)
            shoot_top(server)
            shoot(server)
            over.set()
            for thread in clients:
                thread.join(5)
            busy = [Peer(server.address) for _ in range(25)]
            for n, peer in enumerate(busy):
                peer.send(get(f"/slow?ms={3000 + 700 * n}"))
            time.sleep(0.5)
            server.signal(signal.SIGTERM)
            time.sleep(5)
            shoot(server, "drain")
            server.exited(40)


main(float(sys.argv[1]) if len(sys.argv) > 1 else 120.0)
