"""The cases of the Autobahn test suite, but those of permessage-deflate, which is never agreed on."""

import pytest

from harness import autobahn

QUIET = {"access": False, "level": "error"}
# How many cases each section has: framing, pings, reserved bits, opcodes, fragments, UTF-8, closes,
# messages of all sizes, and messages in odd pieces.
CASES = {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "9": 54, "10": 1}
# Section 9 sends messages of 16 MiB, and of 4 MiB in fragments of 64 bytes.
LARGE = {"max_message_size": "32MiB", "max_frame_size": "32MiB", "max_fragments": 100_000}
FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}


@pytest.mark.heavy
@pytest.mark.parametrize("section", CASES)
def test_every_case_passes(serve, tmp_path, section):
    pool = LARGE if section == "9" else {}
    with serve(listener={"protocols": ["http", "websocket"]}, pools={"websocket": pool}, log=QUIET) as server:
        url = "ws://%s:%d/ws" % server.address
        found = autobahn(url, [f"{section}.*"], tmp_path / "autobahn", within=240)
        assert len(found) == CASES[section]
        failed = {case: how for case, how in found.items() if not set(how) <= FINE}
        assert not failed
        ended = server.metrics().by("wharf_connections_closed_total", "reason")
        assert set(ended) <= {"client_closed", "completed", "protocol_error"}, ended
