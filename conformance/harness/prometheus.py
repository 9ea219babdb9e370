"""A real Prometheus that scrapes the server under test."""

import json
import shutil
import subprocess
from urllib.parse import quote
from urllib.request import urlopen

from .server import REPOSITORY, free_port
from .wait import eventually

DEPLOYED = REPOSITORY / "deploy/prometheus"


class Prometheus:
    """Prometheus with the configuration and the rules of `deploy/`, but every second and on ports of its own."""

    def __init__(self, folder, admin):
        self.folder, self.address = folder, f"127.0.0.1:{free_port()}"
        config = (DEPLOYED / "prometheus.yml").read_text()
        config = config.replace("127.0.0.1:9900", "%s:%d" % admin).replace("interval: 15s", "interval: 1s")
        (folder / "prometheus.yml").write_text(config)
        shutil.copy(DEPLOYED / "wharf.rules.yml", folder)

    def __enter__(self):
        with (self.folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                 f"--web.listen-address={self.address}"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert eventually(self._is_ready, 30.0, every=0.1), self.log()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)

    def log(self):
        return (self.folder / "prometheus.log").read_text(errors="replace")[-2000:]

    def api(self, path):
        """The data of an answer of its API."""
        with urlopen(f"http://{self.address}/api/v1/{path}", timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expression):
        """What an expression is now."""
        return self.api(f"query?query={quote(expression)}")["result"]

    def _is_ready(self):
        assert self.process.poll() is None, self.log()
        try:
            return urlopen(f"http://{self.address}/-/ready", timeout=1).status == 200
        except OSError:
            return False
