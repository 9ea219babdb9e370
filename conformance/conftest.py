"""Fixtures and markers of the whole suite."""

import resource

import pytest
from _pytest.runner import runtestprotocol

pytest.register_assert_rewrite("harness", "h2spec")

from harness import Authority, Server, Standstill, binary, tls_client  # noqa: E402  (after its assertions can explain themselves)


STANDSTILL = pytest.StashKey()


def pytest_configure(config):
    # Known without pytest-xdist too.
    config.addinivalue_line("markers", "xdist_group(name): tests for the same process")
    config.stash[STANDSTILL] = Standstill()
    # Crowds of peers need descriptors on this side too.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("heavy"):
            item.add_marker(pytest.mark.xdist_group("heavy"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A test that failed while the machine stood still has told nothing: it is run once more, and the
    summary says so. Any other failure stands."""
    standstill = item.config.stash[STANDSTILL]
    standstill.begin()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if still := any(report.failed for report in reports) and standstill.seconds():
        first = reports
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        why = next(str(report.longrepr) for report in first if report.failed)
        reports[-1].sections.append(("run again", f"the machine stood still for {still:.1f} s: {why}"))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter):
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, text in getattr(report, "sections", ()):
                if name == "run again":
                    terminalreporter.section(f"run again: {report.nodeid}")
                    terminalreporter.line(text)


@pytest.fixture(scope="session", autouse=True)
def built():
    assert binary().exists(), f"{binary()} is not there: cargo build --release, or set WHARF_BIN"


@pytest.fixture
def serve(tmp_path):
    """Starts a server: `with serve(pool={...}) as server`."""
    return lambda *args, **settings: Server(tmp_path, *args, **settings)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def serve_tls(serve, tmp_path, authority):
    """A server whose listener speaks TLS, with a certificate for localhost unless `tls` says else;
    `https` and `http2` are the keys of these pools, `door` more of the listener's own."""
    def start(https=None, http2=None, tls=None, protocols=("https", "http2"), door=None, **more):
        keys = authority.issue("localhost", "127.0.0.1").write(tmp_path) if tls is None else tls
        pools = {name: pool for name, pool in (("https", https), ("http2", http2)) if pool}
        return serve(listener={"protocols": list(protocols), "tls": keys} | (door or {}), pools=pools,
                     **{"log": {"access": False}} | more)
    return start


@pytest.fixture
def mutual(tmp_path, authority):
    """The listener's `tls`, and clients' contexts: known, a stranger, nobody."""
    (tmp_path / "ca.crt").write_bytes(authority.chain_pem())
    keys = authority.issue("localhost").write(tmp_path) | {"client_ca": "ca.crt"}
    files = {}
    for name, issuer in (("known", authority), ("stranger", Authority("Another CA"))):
        issuer.issue("alice", client=True).write(tmp_path, name)
        files[name] = (tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
    return keys, lambda who, version=None: tls_client(identity=files.get(who), version=version)
