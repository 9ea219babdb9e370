"""The cases of the Autobahn test suite, but those of permessage-deflate, which is never agreed on."""

import pytest

from harness import Example, autobahn

QUIET = {"access": False, "level": "error"}
# How many cases each section has: framing, pings, reserved bits, opcodes, fragments, UTF-8, closes,
# messages of all sizes, and messages in odd pieces.
CASES = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1}
# Section 9 sends messages of 16 MiB, and of 4 MiB in fragments of 64 bytes.
LARGE = {"max_message_size": "32MiB", "max_frame_size": "32MiB", "max_fragments": 100_000}
FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}

pytestmark = pytest.mark.heavy


def limits(section):
    """The settings of sessions that differ from the defaults."""
    return LARGE if section == "9" else {}


def assert_passes(address, section, folder):
    found = autobahn("ws://%s:%d/ws" % address, [f"{section}.*"], folder / "autobahn", within=240)
    assert len(found) == CASES[section]
    failed = {case: how for case, how in found.items() if not set(how) <= FINE}
    assert not failed


@pytest.mark.parametrize("section", CASES)
def test_every_case_passes(serve, tmp_path, section):
    pools = {"websocket": limits(section)}
    with serve(listener={"protocols": ["http", "websocket"]}, pools=pools, log=QUIET) as server:
        assert_passes(server.address, section, tmp_path)
        ended = server.metrics().by("wharf_connections_closed_total", "reason")
        assert set(ended) <= {"client_closed", "completed", "protocol_error"}, ended


@pytest.mark.parametrize("section", CASES)
def test_every_case_passes_with_a_handler_of_axums(tmp_path, section):
    example = Example("websocket_axum", **limits(section))
    if not example.program:
        pytest.skip("the example is not built: cargo build --examples")
    with example:
        assert_passes(example.address, section, tmp_path)
