"""Endpoints that are found while wharf runs: in an etcd, and in a file."""

import contextlib
import json
import os
import socket
import ssl
import time

import pytest

from harness import Authority, Etcd, Events, Peer, Upstream, answer, eventually, gateway

QUIET = {"access": False}
PREFIX = "/services/api/"
# What the issue promises for etcd, and what a file takes: 0.1 s of quiet, and hints of the kernel.
SOON = 1.0


@pytest.fixture
def etcd(tmp_path):
    with Etcd(tmp_path) as etcd:
        yield etcd


@pytest.fixture
def upstreams():
    """Three upstreams that answer with their own address."""
    with contextlib.ExitStack() as stack:
        def one():
            upstream = Upstream()
            upstream.respond = lambda *_: answer(body=upstream.url.encode())
            return stack.enter_context(upstream)
        yield [one() for _ in range(3)]


def found_in_etcd(etcd, *endpoints, more="", prefix=PREFIX, own=""):
    section = f'[upstream.discovery]\n{own}[upstream.discovery.etcd]\nendpoints = ["{etcd.url}"]\nprefix = "{prefix}"\n'
    return gateway(*endpoints, upstream={"balance": "round_robin"}, sections=section + more)


def answering(server, requests=6):
    """Who answers, when each is asked several times."""
    with Peer(server.address) as peer:
        answers = [peer.request("/") for _ in range(requests)]
    assert {it.status for it in answers} == {200}, answers
    return {it.body.decode() for it in answers}


def discovery(server):
    return server.json("/pools/api/http")["discovery"]


def follows(server, *upstreams, within=SOON):
    """Waits until exactly these answer; how long that took."""
    began, wanted = time.monotonic(), {it.url for it in upstreams}

    def so():
        with contextlib.suppress(AssertionError):
            return answering(server) == wanted
        return False
    assert eventually(so, within + 2), (answering(server), discovery(server))
    took = time.monotonic() - began
    assert took <= within, f"routing followed after {took:.2f} s"
    return took


def test_endpoints_come_and_go_in_etcd_and_routing_follows(serve, etcd, upstreams):
    first, second, third = upstreams
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server, Events(server.admin) as events:
        assert answering(server) == {first.url}
        etcd.put(PREFIX + "2", json.dumps({"address": second.url, "weight": 1}))
        follows(server, first, second)
        etcd.put(PREFIX + "3", third.url.removeprefix("http://"))
        follows(server, *upstreams)
        etcd.delete(PREFIX + "1")
        follows(server, second, third)
        etcd.put(PREFIX + "2", first.url)
        follows(server, first, third)
        told = discovery(server)
        assert told["source"] == "etcd" and told["state"] == "current" and told["endpoints"] == 2
        assert told["revision"] == etcd.revision() and told["changes"] == 5 and told["error"] is None
        assert [it["discovery"]["state"] for it in server.json("/health")["pools"] if "discovery" in it] == ["current"]
        assert eventually(lambda: len(events.of("discovery_changed")) == 4)
        last = events.of("discovery_changed")[-1]
        assert (last["pool"], last["source"], last["state"], last["endpoints"]) == ("api/http", "etcd", "current", 2)


def test_what_was_found_last_goes_on_while_etcd_is_away_and_routing_follows_when_it_is_back(serve, etcd, upstreams):
    first, second, third = upstreams
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        for nth, there in enumerate([(first,), (first, second), upstreams], 1):
            etcd.put(f"{PREFIX}{nth}", there[-1].url)
            follows(server, *there)
            etcd.kill()
            assert eventually(lambda: discovery(server)["state"] == "stale")
            assert answering(server) == {it.url for it in there}
            time.sleep(1.5)  # Long enough for the longest pause between two attempts.
            assert answering(server) == {it.url for it in there}
            assert "refused" in discovery(server)["error"]
            etcd.start()
            began = time.monotonic()
            assert eventually(lambda: discovery(server)["state"] == "current", 3.0)
            assert time.monotonic() - began <= SOON
        etcd.delete(PREFIX + "1")
        follows(server, second, third)


def test_what_happened_while_nobody_watched_is_known_though_etcd_has_forgotten_it(serve, etcd, upstreams):
    first, second, third = upstreams
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        follows(server, first)
        etcd.kill()
        assert eventually(lambda: discovery(server)["state"] == "stale")
        # On another port nobody watches, so that everything is over before wharf can see any of it.
        place, etcd.url = etcd.url, etcd.url.rsplit(":", 1)[0] + ":" + str(_port())
        etcd.start()
        for n in range(50):
            etcd.put(PREFIX + "1", f"http://127.0.0.1:{n + 1}")
        etcd.put(PREFIX + "2", second.url)
        etcd.delete(PREFIX + "1")
        etcd.compact()
        etcd.kill()
        assert answering(server) == {first.url}
        etcd.url = place
        etcd.start()
        follows(server, second)
        # What a watch has told may be forgotten: it goes on.
        etcd.put(PREFIX + "3", third.url)
        etcd.compact()
        follows(server, second, third)
        etcd.delete(PREFIX + "2")
        follows(server, third)


def _port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_without_etcd_at_the_start_the_endpoints_of_the_file_are_asked(serve, etcd, upstreams):
    first, second, _ = upstreams
    etcd.put(PREFIX + "1", second.url)
    etcd.kill()
    with serve(log=QUIET, more=found_in_etcd(etcd, first)) as server:
        assert answering(server) == {first.url}
        assert discovery(server)["state"] == "waiting"
        etcd.start()
        follows(server, second)


def test_without_etcd_and_without_endpoints_requests_are_refused_until_there_are_some(serve, etcd, upstreams):
    first, *_ = upstreams
    etcd.kill()
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        with Peer(server.address) as peer:
            refused = peer.request("/")
        assert (refused.status, refused.headers["x-wharf-reason"]) == (503, "no_endpoint")
        etcd.start()
        etcd.put(PREFIX + "1", first.url)
        follows(server, first)


def test_the_last_endpoint_does_not_go_unless_that_is_allowed(serve, etcd, upstreams):
    first, *_ = upstreams
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        follows(server, first)
        etcd.delete_all(PREFIX)
        assert eventually(lambda: discovery(server)["state"] == "stale")
        assert "no endpoint" in discovery(server)["error"] and answering(server) == {first.url}
        server.file.write_text(server.text().replace("[upstream.discovery]\n", "[upstream.discovery]\nallow_empty = true\n"))
        etcd.put(PREFIX + "1", first.url)
        assert eventually(lambda: discovery(server)["state"] == "current", 5.0)
        assert eventually(lambda: '"allow_empty": true' in json.dumps(server.json("/config")), 5.0)
        etcd.delete_all(PREFIX)
        assert eventually(lambda: discovery(server)["endpoints"] == 0)
        with Peer(server.address) as peer:
            assert peer.request("/").status == 503


def test_a_bad_value_is_told_with_its_key_and_hinders_no_other(serve, etcd, upstreams):
    first, second, _ = upstreams
    etcd.put(PREFIX + "1", first.url)
    etcd.put(PREFIX + "evil", "http://169.254.169.254")
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        follows(server, first)
        assert discovery(server)["skipped"] == 1 and "may not be asked" in discovery(server)["error"]
        for bad in ("no endpoint", "https://127.0.0.1:1", '{"address": "a:1", "weight": 0}', "x" * 5000, "<b>a</b>"):
            etcd.put(PREFIX + "bad\n", bad)
            assert eventually(lambda: discovery(server)["skipped"] == 2), bad
        etcd.delete(PREFIX + "evil")
        etcd.put(PREFIX + "2", second.url)
        follows(server, first, second)
        assert discovery(server)["error"].startswith(PREFIX + "bad\\n: ")
        assert server.metrics().total("wharf_upstream_discovery_skipped", upstream="api", source="etcd") == 1
        etcd.delete(PREFIX + "bad\n")
        assert eventually(lambda: discovery(server)["error"] is None)


def test_keys_beside_the_prefix_are_nobodys(serve, etcd, upstreams):
    first, second, _ = upstreams
    etcd.put("/services/api", second.url)
    etcd.put("/services/api0", second.url)
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        etcd.put("/services/apj", second.url)
        follows(server, first)
        assert discovery(server)["endpoints"] == 1


def test_a_flood_of_keys_is_cut_told_and_followed_again_when_it_is_over(serve, etcd, upstreams):
    first, second, _ = upstreams
    etcd.put(PREFIX + "0", first.url)
    pool = "[upstream.pool]\nmin_idle = \"off\"\n[upstream.outlier]\nbase_ejection = \"1s\"\n"
    with serve(log=QUIET, more=found_in_etcd(etcd, more=pool)) as server:
        follows(server, first)
        etcd.put_many((f"{PREFIX}x{n:05}", f"http://127.0.0.2:{n + 1}") for n in range(5000))
        assert eventually(lambda: discovery(server)["skipped"] == 5001 - 1024, 20.0), discovery(server)
        told = discovery(server)
        assert (told["endpoints"], told["state"]) == (1024, "current") and "more than 1024" in told["error"]
        etcd.delete_all(PREFIX + "x")
        assert eventually(lambda: discovery(server)["endpoints"] == 1, 20.0), discovery(server)
        etcd.put(PREFIX + "1", second.url)
        follows(server, first, second)


def test_an_etcd_that_holds_its_connections_and_says_nothing_is_given_up(serve, etcd, upstreams):
    first, second, _ = upstreams
    etcd.put(PREFIX + "1", first.url)
    with serve(log=QUIET, more=found_in_etcd(etcd)) as server:
        follows(server, first)
        etcd.pause()
        # Silence for 8 s, and 4 s for the answer to a PING.
        assert eventually(lambda: discovery(server)["state"] == "stale", 20.0)
        assert answering(server) == {first.url}
        etcd.resume()
        etcd.put(PREFIX + "2", second.url)
        # An attempt that has begun meanwhile waits for as long as an answer may take.
        follows(server, first, second, within=5.0)


def test_who_etcd_wants_to_know_says_who_he_is(serve, etcd, upstreams, tmp_path):
    first, second, _ = upstreams
    etcd.put(PREFIX + "1", first.url)
    etcd.with_users("wharf", "sesame", PREFIX)
    (tmp_path / "password").write_text("sesame\n")
    user = 'user = "wharf"\npassword_file = "password"\n'
    with serve(log=QUIET, more=found_in_etcd(etcd, more=user)) as server:
        follows(server, first)
        etcd.put(PREFIX + "2", second.url)
        follows(server, first, second)
        (tmp_path / "password").write_text("wrong\n")
        assert eventually(lambda: "authentication failed" in (discovery(server)["error"] or ""), 5.0)
        assert answering(server) == {first.url, second.url}
        assert "sesame" not in json.dumps(server.json("/config")) + server.errors()


def test_etcd_may_want_certificates(serve, tmp_path, upstreams):
    first, second, _ = upstreams
    authority = Authority()
    # Its JSON gateway is a client of its own.
    keys = authority.issue("localhost", "127.0.0.1", both=True).write(tmp_path, "etcd")
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    authority.issue("wharf", client=True).write(tmp_path, "client")
    door = {name: tmp_path / value for name, value in keys.items()} | {"client_ca": tmp_path / "ca.crt"}
    context = _context(tmp_path)
    tls = 'tls = { ca = "ca.crt", certificate = "client.crt", key = "client.key" }\n'
    with Etcd(tmp_path, door, context) as etcd:
        etcd.put(PREFIX + "1", first.url)
        with serve(log=QUIET, more=found_in_etcd(etcd, more=tls)) as server:
            follows(server, first)
            etcd.put(PREFIX + "2", second.url)
            follows(server, first, second)


def _context(folder):
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


def test_the_source_changes_with_the_file_and_what_was_found_stays_until_then(serve, etcd, upstreams):
    first, second, third = upstreams
    etcd.put(PREFIX + "1", first.url)
    etcd.put("/other/1", second.url)
    with serve(log=QUIET, more=found_in_etcd(etcd, third)) as server:
        follows(server, first)
        server.file.write_text(server.text().replace(PREFIX, "/nothing/"))
        assert eventually(lambda: discovery(server)["error"], 5.0)
        assert answering(server) == {first.url}
        server.file.write_text(server.text().replace(PREFIX, "/other/"))
        follows(server, second, within=5.0)
        server.file.write_text(server.text().split("[upstream.discovery]")[0])
        follows(server, third, within=5.0)
        assert "discovery" not in server.json("/pools/api/http")


# Files.


def found_in_file(name="endpoints.toml", *endpoints):
    section = f'[upstream.discovery.file]\npath = "{name}"\n'
    return gateway(*endpoints, upstream={"balance": "round_robin"}, sections=section)


def listed(*upstreams):
    return "endpoints = [%s]\n" % ", ".join(f'"{it.url}"' for it in upstreams)


def test_a_file_is_followed_whole_or_not_at_all(serve, tmp_path, upstreams):
    first, second, third = upstreams
    file = tmp_path / "endpoints.toml"
    file.write_text(listed(first))
    with serve(log=QUIET, more=found_in_file()) as server:
        assert answering(server) == {first.url}
        file.write_text(listed(first, second))
        follows(server, first, second, within=3.0)
        # One fault is the whole file's.
        file.write_text(listed(third).replace("]", ", \"nonsense\"]"))
        assert eventually(lambda: discovery(server)["state"] == "stale", 5.0)
        assert "endpoints.toml:1:40: endpoints: " in discovery(server)["error"] and answering(server) == {first.url, second.url}
        file.unlink()
        assert eventually(lambda: "cannot read it" in discovery(server)["error"], 5.0)
        assert answering(server) == {first.url, second.url}
        replaced = tmp_path / "next"
        replaced.write_text(listed(third))
        os.replace(replaced, file)
        follows(server, third, within=3.0)
        assert discovery(server)["source"] == "file" and discovery(server)["error"] is None


def test_a_file_that_is_written_piece_by_piece_is_read_when_it_is_there(serve, tmp_path, upstreams):
    first, second, third = upstreams
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"endpoints": [first.url]}))
    with serve(log=QUIET, more=found_in_file("endpoints.json")) as server:
        assert answering(server) == {first.url}
        with file.open("w") as out:
            for piece in json.dumps({"endpoints": [second.url, {"address": third.url, "weight": 1}]}):
                out.write(piece)
                out.flush()
                time.sleep(0.002)
        follows(server, second, third, within=5.0)
        assert discovery(server)["failures"] == 0


def test_a_file_that_comes_later_is_found(serve, tmp_path, upstreams):
    first, second, _ = upstreams
    with serve(log=QUIET, more=found_in_file("later.toml", first)) as server:
        assert answering(server) == {first.url} and discovery(server)["state"] == "waiting"
        (tmp_path / "later.toml").write_text(listed(second))
        follows(server, second, within=3.0)
