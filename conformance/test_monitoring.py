"""What `deploy/` has for Prometheus and Grafana, held against both: promtool, and a server that is scraped."""

import json
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness import REPOSITORY, Page, Peer, Prometheus, TlsPeer, Upstream, eventually, free_port, gateway

PROMETHEUS = REPOSITORY / "deploy/prometheus"
RULES = yaml.safe_load((PROMETHEUS / "wharf.rules.yml").read_text())["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
BOARD = json.loads((REPOSITORY / "deploy/grafana/wharf.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
# What is there only once it has happened, and does not in a minute of good weather.
RARE = {"wharf_dry_run_total", "wharf_http2_abuse_total", "wharf_connections_rejected_total",
        "wharf_upstream_failures_total", "wharf_upstream_discovery_state"}


def promtool(*arguments):
    assert shutil.which("promtool"), "promtool is not installed: apt-get install prometheus"
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [
    ("check", "config", PROMETHEUS / "prometheus.yml"),
    ("check", "rules", PROMETHEUS / "wharf.rules.yml"),
    ("test", "rules", PROMETHEUS / "wharf.rules.test.yml"),
], ids=lambda arguments: arguments[0] + " " + arguments[1])
def test_promtool_takes_the_rules(arguments):
    ran = promtool(*arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_fires_in_a_test_and_says_where_to_read_on():
    tests = yaml.safe_load((PROMETHEUS / "wharf.rules.test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in ALERTS}
    page = Page(REPOSITORY / "docs/metrics.md")
    explained = {name for _, cells in page.tables() for name in re.findall(r"`(Wharf\w+)`", cells[0])}
    assert explained == fired
    assert {rule["labels"]["severity"] for rule in ALERTS} <= {"critical", "warning", "info"}


def test_what_is_exported_passes_promtools_linter(serve):
    with serve() as server:
        ran = subprocess.run(["promtool", "check", "metrics"], input=server.ask("/metrics")[2], capture_output=True,
                             timeout=60, check=False)
        # The text format of Prometheus names a counter with its _total, OpenMetrics without: the linter
        # knows only the first.
        lines = [line for line in ran.stderr.decode().splitlines() if "_total" not in line]
        assert not lines


def test_the_dashboard_is_drawn_without_overlaps():
    assert BOARD["uid"] == "wharf" and len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    for panel in PANELS:
        assert panel["title"] and panel["description"], panel["title"]
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def filled_in(expression):
    """The expression of a panel as Grafana asks it with all of everything."""
    expression = expression.replace("$__rate_interval", "4s")
    return re.sub(r"\$(job|instance|listener|protocol)\b", ".*", expression)


def names(expression):
    """The series that an expression is made of."""
    return set(re.findall(r"\b(?:wharf|process)_\w+", re.sub(r'"[^"]*"', "", expression)))


@contextmanager
def traffic(server, tls):
    """Some of each kind, until the block is over."""
    over = threading.Event()

    def go_on():
        with grpc.insecure_channel("%s:%d" % server.address) as channel:
            while not over.wait(0.1):
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
                for open_peer in (lambda: Peer(server.address), lambda: TlsPeer(tls)):
                    with open_peer() as peer:
                        assert peer.request().status == 200

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        try:
            yield
        finally:
            over.set()
        going.result(30)


def found(upstream, folder):
    """A gateway to an upstream that is found in a file."""
    (folder / "endpoints.toml").write_text(f'endpoints = ["{upstream.url}"]\n')
    return gateway(sections='[upstream.discovery.file]\npath = "endpoints.toml"\n')


@pytest.mark.heavy
def test_a_real_prometheus_scrapes_it_and_answers_every_panel_and_rule(serve, tmp_path):
    tls = ("127.0.0.1", free_port())
    more = (f'[[listener]]\nname = "tls"\naddress = "127.0.0.1:{tls[1]}"\nprotocols = ["https", "http2"]\n'
            "tls = { self_signed = true }\n")
    listener = {"protocols": ["http", "http2", "grpc", "websocket"]}
    (tmp_path / "prometheus").mkdir()
    with (Upstream() as upstream,
          serve({"max_connections": 50}, listener=listener, more=more + found(upstream, tmp_path)) as server,
          Prometheus(tmp_path / "prometheus", server.admin) as prometheus, traffic(server, tls)):

        def scraped():
            targets = prometheus.api("targets?state=active")["activeTargets"]
            assert not [target["lastError"] for target in targets if target["lastError"]]
            return [target["health"] for target in targets] == ["up"]

        assert eventually(scraped, 30.0, every=0.2), prometheus.log()

        def answered():
            for panel in PANELS:
                for target in panel["targets"]:
                    found = prometheus.query(filled_in(target["expr"]))
                    assert found or names(target["expr"]) & RARE, f"{panel['title']}: {target['expr']}"
            return True

        eventually(answered, 60.0, every=0.5)
        counted = server.metrics().total("wharf_requests_total", protocol="https")

        def caught_up():
            (told,) = prometheus.query('sum(wharf_requests_total{protocol="https"})')
            return counted <= float(told["value"][1])

        assert eventually(caught_up, 20.0, every=0.5)

        def judged():
            rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
            assert len(rules) == sum(len(group["rules"]) for group in RULES)
            assert {rule["health"] for rule in rules} == {"ok"}
            return rules

        rules = eventually(judged, 20.0, every=0.5)
        assert not [rule["name"] for rule in rules if rule.get("state") == "firing"], "in good weather"
        # Nothing that a rule or a panel asks for is made up.
        known = {name.removesuffix("_total") for name in prometheus.api("metadata")}
        expressions = [rule["expr"] for group in RULES for rule in group["rules"]]
        expressions += [target["expr"] for panel in PANELS for target in panel["targets"]]
        asked = {re.sub(r"_(bucket|sum|count|total)$", "", name) for it in expressions for name in names(it)}
        assert asked <= known, asked - known
