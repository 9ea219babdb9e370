"""A real browser: Chromium without a window, over its debugging protocol."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack

from websockets.sync.client import connect

from .wait import eventually

OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--ignore-certificate-errors", "--remote-debugging-port=0",
]


class Browser:
    """Chromium with a profile of its own in `folder`, from `with` to the end of it."""

    def __init__(self, folder):
        self.folder = folder / "profile"
        self.said = 0
        self.open_doors = ExitStack()

    @staticmethod
    def program():
        """Where Chromium is, or None."""
        return shutil.which("chromium") or shutil.which("chromium-browser")

    def __enter__(self):
        with (self.folder.parent / "browser.log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.program(), *OPTIONS, f"--user-data-dir={self.folder}", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            # Two lines: a port, and the path of the door to the whole browser.
            door = self.folder / "DevToolsActivePort"
            assert eventually(lambda: door.exists() and len(door.read_text().split()) == 2, 30, 0.05)
            port, path = door.read_text().split()
            door = connect(f"ws://127.0.0.1:{port}{path}", max_size=None)
            self.devtools = self.open_doors.enter_context(door)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_):
        self.open_doors.close()
        self._kill()

    def open(self, url):
        """A tab that has loaded the page."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        tab.load(url)
        return tab

    def ask(self, method, session=None, within=30.0, **params):
        """A command of the debugging protocol, and its result; events are passed over."""
        self.said += 1
        command = {"id": self.said, "method": method, "params": params}
        self.devtools.send(json.dumps(command | ({"sessionId": session} if session else {})))
        until = time.monotonic() + within
        while True:
            answer = json.loads(self.devtools.recv(timeout=max(0.0, until - time.monotonic())))
            if answer.get("id") == self.said:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _kill(self):
        # Its children are of its group.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Tab:
    """One page."""

    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.ask("Target.closeTarget", targetId=self.target)

    def load(self, url):
        failed = self.browser.ask("Page.navigate", self.session, url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        assert eventually(lambda: self.run("document.readyState") == "complete", 10.0, 0.05)

    def run(self, script, within=30.0):
        """What an expression is, or, if it is a promise, what it comes to."""
        answer = self.browser.ask("Runtime.evaluate", self.session, within, expression=script,
                                  awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")
