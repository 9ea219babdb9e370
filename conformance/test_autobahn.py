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


def assert_passes(address, sections, folder):
    wanted = sum(CASES[section] for section in sections)
    url = "ws://%s:%d/ws" % address
    found = autobahn(url, [f"{section}.*" for section in sections], folder / "autobahn", within=240)
    assert len(found) == wanted
    failed = {case: how for case, how in found.items() if not set(how) <= FINE}
    assert not failed


@pytest.mark.parametrize("section", CASES)
def test_every_case_passes(serve, tmp_path, section):
    pool = LARGE if section == "9" else {}
    with serve(listener={"protocols": ["http", "websocket"]}, pools={"websocket": pool}, log=QUIET) as server:
        assert_passes(server.address, [section], tmp_path)
        ended = server.metrics().by("wharf_connections_closed_total", "reason")
        assert set(ended) <= {"client_closed", "completed", "protocol_error"}, ended


def test_every_case_within_the_limits_passes_with_a_handler_of_axums(tmp_path):
    example = Example("websocket_axum")
    if not example.program:
        pytest.skip("the example is not built: cargo build --examples")
    with example:
        assert_passes(example.address, [section for section in CASES if section != "9"], tmp_path)
