"""The stream of events of the admin API."""

import json
import threading

from .peer import Peer


class Events:
    """Listens to `/events`, from `with` to the end of it."""

    def __init__(self, admin):
        self.peer = Peer(admin)
        self.text = b""
        self.peer.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"\r\n\r\n" not in self.text:
            self.text += self.peer.socket.recv(1000)
        self.status = int(self.text.split(b" ")[1])
        self.peer.socket.settimeout(None)
        self.thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.peer.socket.shutdown(2)
        self.thread.join(5)
        self.peer.close()

    def of(self, kind):
        """What was told of this kind until now."""
        lines = (line for line in self.text.splitlines() if line.startswith(b"data:"))
        events = (json.loads(line[5:]) for line in lines if line.endswith(b"}"))
        return [event for event in events if event["event"] == kind]

    def _listen(self):
        try:
            while data := self.peer.socket.recv(65536):
                self.text += data
        except OSError:
            pass
