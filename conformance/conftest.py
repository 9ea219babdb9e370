"""Fixtures and markers of the whole suite."""

import resource

import pytest

pytest.register_assert_rewrite("harness", "h2spec")

from harness import Server, binary  # noqa: E402  (after its assertions can explain themselves)


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
