"""Clients that run in Node.js, with packages of npm."""

import json
import shutil
import subprocess

import pytest

from .once import once

PACKAGES = ["@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.0", "ws@8.23.0"]


def node_modules():
    """Where the packages are; skips the test where they cannot be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    return once("node-2", _install) / "node_modules"


def node(script, *arguments, within=30):
    """Runs a script, with the packages' folder before its arguments; what it prints, as JSON."""
    command = node_command(script, *arguments)
    ran = subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def node_command(script, *arguments):
    return ["node", script, node_modules(), *map(str, arguments)]


def _install(folder):
    command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder]
    ran = subprocess.run([*command, *PACKAGES], capture_output=True, text=True, timeout=120,
                         check=False)
    if ran.returncode:
        pytest.skip(f"packages of npm cannot be installed: {ran.stderr[-200:]}")
