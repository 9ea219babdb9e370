"""The Autobahn test suite's fuzzing client, which exists for Python 2.7 only."""

import json
import os
import shutil
import subprocess

import pytest

from .once import once

SUITE = "autobahntestsuite==0.8.2"
RUN = "from autobahntestsuite import wstest; wstest.run()"


def autobahn(url, cases, folder, within=120):
    """Runs these cases against a server; for each the behaviour, and how the connection was closed.

    Skips the test where there is no Python 2.7, or the suite cannot be had.
    """
    python, modules = _python(), _modules()
    folder.mkdir(exist_ok=True)
    spec = {"outdir": "reports", "servers": [{"agent": "wharf", "url": url}], "cases": cases,
            "exclude-cases": [], "exclude-agent-cases": {}}
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [python, "-c", RUN, "-m", "fuzzingclient", "-s", "spec.json"]
    environment = _environment() | {"PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True,
                         timeout=within, check=False)
    report = folder / "reports" / "index.json"
    assert report.exists(), ran.stdout[-2000:] + ran.stderr[-2000:]
    found = json.loads(report.read_text())["wharf"]
    return {case: (told["behavior"], told["behaviorClose"]) for case, told in found.items()}


def _environment():
    # Where versions of Python are pyenv's, it has to be told which.
    return os.environ | {"PYENV_VERSION": os.environ.get("PYENV_VERSION_2", "2.7.18")}


def _python():
    for name in ("python2.7", "python2"):
        if shutil.which(name):
            ran = subprocess.run([name, "-c", "import sys; print(sys.version_info[:2])"], text=True,
                                 env=_environment(), capture_output=True, check=False)
            if ran.stdout.strip() == "(2, 7)":
                return name
    pytest.skip("Python 2.7 is not installed, and Autobahn needs it")
    return None


def _modules():
    return once(SUITE, _install)


def _install(folder):
    command = [_python(), "-m", "pip", "install", "--quiet", "--target", folder, SUITE]
    ran = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=300, check=False)
    if ran.returncode:
        pytest.skip(f"Autobahn cannot be installed: {ran.stderr[-200:]}")
    # Python 2 takes a folder for a package only with this.
    (folder / "zope" / "__init__.py").touch()
