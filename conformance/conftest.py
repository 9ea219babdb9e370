"""Fixtures and markers of the whole suite."""

import resource

import pytest

pytest.register_assert_rewrite("harness", "h2spec")

from harness import Authority, Server, binary, tls_client  # noqa: E402  (after its assertions can explain themselves)


def pytest_configure(config):
    # Known without pytest-xdist too.
    config.addinivalue_line("markers", "xdist_group(name): tests for the same process")
    # Crowds of peers need descriptors on this side too.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("heavy"):
            item.add_marker(pytest.mark.xdist_group("heavy"))


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
