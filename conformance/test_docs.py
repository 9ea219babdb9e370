"""The documentation: its commands run, its files are taken, its links lead somewhere, its tables are whole."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import REPOSITORY, Documented, Page, Server, has_otel

PAGES = {
    str(path.relative_to(REPOSITORY)): Page(path)
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("deploy/**/*.md"),
                 *REPOSITORY.glob("*/README.md")]
}
REFERENCE = PAGES["docs/configure.md"]
POOLS = ("http", "https", "http2", "grpc", "websocket")
# Every key of a file, so that `wharf config` shows it.
EVERYTHING = """
[admin]
tls = { self_signed = true }
[[listener]]
name = "web"
address = "127.0.0.1:8080"
protocols = ["http", "http2", "grpc", "websocket"]
proxy_protocol = { trusted = ["10.0.0.0/8"] }
[[listener]]
name = "tls"
address = "127.0.0.1:8443"
protocols = ["https"]
tls = { self_signed = true }
[[route]]
listener = "web"
host = "a.example"
path = "/a"
respond = { status = 200, body = "ok" }
[[route]]
redirect = "https"
[[route]]
app = "demo"
"""
# Known to builds with the feature.
OTEL = """
[otel]
endpoint = "https://otlp.example.com"
tls = { ca = "ca.crt" }
"""


def blocks(language, runs=True):
    """The blocks of a language, as parameters of a test: those that run, or those that are only shown."""
    found = [block for page in PAGES.values() for block in page.blocks
             if block.language == language and (block.why is None) == runs]
    without = pytest.mark.skipif(not has_otel(), reason="this wharf was built without the feature otel")
    return [pytest.param(block, id=str(block), marks=[without] if "[otel]" in block.text else []) for block in found]


def file_before(block):
    """The configuration that a reader of this block has: the last whole one before it on the page."""
    whole = [other.text for other in PAGES[str(block.page.relative_to(REPOSITORY))].blocks
             if other.language == "toml" and other.line < block.line and "[[listener]]" in other.text]
    return whole[-1] if whole else None


def whole(text):
    """A part of a file, with the listener that it is a part of."""
    if "[[listener]]" in text:
        return text
    given = re.search(r"^tls = ", re.split(r"^\[", text, maxsplit=1, flags=re.M)[0], re.M)
    secured = given or "pools.https]" in text
    protocols = ["https" if secured else "http", "http2", "grpc", "websocket"]
    tls = "tls = { self_signed = true }\n" if secured and not given else ""
    redirects = 'redirect = "https"' in text
    more = '[[listener]]\nname = "tls"\naddress = "127.0.0.1:8443"\nprotocols = ["https"]\n' \
           'tls = { self_signed = true }\n' if redirects else ""
    return f'{more}[[listener]]\nname = "web"\naddress = "127.0.0.1:8080"\n' \
           f"protocols = {json.dumps(protocols)}\n{tls}{text}"


@pytest.mark.parametrize("block", blocks("sh"))
def test_what_a_page_says_to_run_runs(tmp_path, block):
    with Documented(tmp_path, file_before(block)) as here:
        here.run(block)


@pytest.mark.parametrize("block", blocks("toml"))
def test_what_a_page_says_to_write_is_taken(tmp_path, block):
    with Documented(tmp_path) as here:
        told = here.check(whole(block.text))
    assert told.returncode == 0, f"{block}\n{told.stdout}{told.stderr}"


@pytest.mark.parametrize("block", blocks("json"))
def test_answers_that_are_shown_can_be_read(block):
    decoder, rest = json.JSONDecoder(), block.text.strip()
    while rest:
        _, end = decoder.raw_decode(rest)
        rest = rest[end:].strip()


def test_what_is_only_shown_says_why():
    shown = [block for page in PAGES.values() for block in page.blocks if block.why]
    assert all(block.language in ("sh", "toml") and len(block.why) > 10 for block in shown)
    assert len(shown) < len(blocks("sh")) / 2


@pytest.mark.parametrize("name", PAGES)
def test_no_link_is_dead(name):
    page = PAGES[name]
    for target in page.links():
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        assert path.exists(), f"{name}: {target}"
        if anchor:
            there = PAGES.get(str(path.relative_to(REPOSITORY)))
            assert there and anchor in there.anchors(), f"{name}: {target}"


def test_the_book_has_every_page():
    book = PAGES["docs/SUMMARY.md"]
    listed = [(book.path.parent / target).resolve() for target in book.links()]
    assert len(listed) == len(set(listed))
    pages = {page.path for name, page in PAGES.items() if name.startswith("docs/")} - {book.path}
    assert {path for path in listed if path.is_relative_to(book.path.parent)} == pages


def test_the_book_is_made_without_a_warning(tmp_path):
    mdbook = Path(sys.executable).parent / "mdbook"
    made = subprocess.run([mdbook, "build", REPOSITORY / "docs", "--dest-dir", tmp_path], capture_output=True,
                          text=True, timeout=120, check=False)
    told = made.stdout + made.stderr
    assert made.returncode == 0 and not re.search("WARN|ERROR", told, re.I), told
    assert (tmp_path / "telemetry.html").exists()


# The reference.


def settings(folder):
    """What `wharf config` knows: section, key and value of every setting."""
    with Documented(folder) as here:
        (folder / "everything.toml").write_text(EVERYTHING + (OTEL if has_otel() else ""))
        text = here._run("wharf config --config everything.toml").stdout
    section, found = "", {}
    for line in text.splitlines():
        if head := re.match(r"\[+([\w.]+)\]+", line):
            section = head[1]
        elif setting := re.match(r"(\w+) = (.*?) *# (default|file)", line):
            found.setdefault(section, {})[setting[1]] = (setting[2].strip(), setting[3])
    return found


def documented():
    """What the reference knows: keys of each section, each with the cell of its default.

    The tables of pools name the pools that a key is for in their first cell; without any, all have it.
    """
    sections = {}
    for heading, cells in REFERENCE.tables():
        names = re.findall(r"`\[+([\w.]+)\]+`", heading)
        if not names or (names[0] == "otel" and not has_otel()):
            continue
        keys = re.findall(r"`(\w+)`", cells[0].split("(")[0])
        only = re.findall(r"`(\w+)`", cells[0].partition("(")[2])
        defaults = re.split(r", (?=[`\"a-z\[])", cells[1]) if len(keys) > 1 else [cells[1]]
        if len(defaults) != len(keys):
            defaults = [cells[1]] * len(keys)
        pools = [f"pools.{pool}" for pool in only or POOLS] if "pools." in names[0] else [names[0]]
        for section in pools:
            for key, default in zip(keys, defaults, strict=True):
                assert key not in sections.setdefault(section, {}), f"{section}.{key} is there twice"
                sections[section][key] = default
    return sections


def test_every_setting_is_in_the_reference_and_nothing_else(tmp_path):
    known = {section: set(keys) for section, keys in settings(tmp_path).items() if "listener.pools" not in section}
    assert {section: set(keys) for section, keys in documented().items()} == known


def seconds(value):
    """A duration in one unit, so that 5m is 300s; anything else as it is."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    found = re.fullmatch(r'"(\d+)(ms|s|m|h)"', value)
    return int(found[1]) * units[found[2]] if found else value


def test_the_defaults_of_the_reference_are_those_of_the_code(tmp_path):
    pages = documented()
    for section, keys in settings(tmp_path).items():
        for key, (value, origin) in keys.items():
            default = pages.get(section, {}).get(key, "")
            told = re.match(r"`([^`]+)`", default)
            # What is found on each machine, and what differs by pool, is told in words.
            if origin != "default" or not told or told[1] == '"auto"':
                continue
            only = re.search(rf"`([^`]+)` for `{section.removeprefix('pools.')}`", default)
            wanted = only[1] if only else told[1]
            assert seconds(wanted) == seconds(value), f"{section}.{key}: {default}"


def test_every_metric_is_in_its_table_and_nothing_else(tmp_path):
    with Server(tmp_path) as server:
        told = server.ask("/metrics")[2].decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told, re.M))
    exported = {name + ("_total" if kind == "counter" else "") for name, kind in kinds.items()}
    rows = [cells for heading, cells in PAGES["docs/admin.md"].tables() if heading == "Metrics"]
    rows = [cells for cells in rows if has_otel() or "wharf_otel_" not in cells[0]]
    assert {name for cells in rows for name in re.findall(r"`(\w+)`", cells[0])} == exported
    for cells in rows:
        for name in re.findall(r"`(\w+)`", cells[0]):
            kind = kinds[name.removesuffix("_total") if name not in kinds else name]
            assert name.startswith("process_") or cells[1].startswith(kind), name


def test_every_way_into_the_admin_api_is_in_its_table_and_nothing_else(tmp_path):
    with Server(tmp_path) as server:
        paths = server.json("/openapi.json")["paths"]
    known = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    rows = [cells for heading, cells in PAGES["docs/admin.md"].tables() if heading == "Admin API and metrics"]
    told = {re.match(r"`(\w+ [^`?]+)", cells[0])[1] for cells in rows}
    # The page is not for programs, and the document does not describe itself.
    assert told - {"GET /", "GET /openapi.json"} == known - {"GET /", "GET /openapi.json"}


def test_every_reason_has_a_row(tmp_path):
    page = PAGES["docs/limits-and-timeouts.md"]
    with Server(tmp_path) as server:
        (pool,) = server.json("/pools")["pools"]
    words = lambda cell: re.findall(r"`(\w+)`", cell)
    ends = {word for heading, cells in page.tables() if heading == "Why a connection ended" for word in words(cells[0])}
    ends |= {word for heading, cells in page.tables() if heading == "WebSocket sessions" for word in words(cells[2])}
    assert set(pool["metrics"]["closed_by_reason"]) <= ends
    refusals = {word for heading, cells in page.tables() if heading == "Why a newcomer was not let in"
                for word in words(cells[0])}
    reserved = {word for line in page.lines if line.startswith("Reserved for later") for word in words(line)}
    assert set(pool["metrics"]["rejected_by_reason"]) == refusals | reserved


# The way from elsewhere.

# The options, methods and words of koatty_serve's design, each of which somebody may look for.
KOATTY = """
hostname port protocol maxConnections connectionTimeout keepAliveTimeout requestTimeout headersTimeout protocolSpecific
maxSessionMemory maxHeaderListSize maxReceiveMessageLength maxSendMessageLength keepAliveTime pingInterval pongTimeout
ConnectionPoolManager addConnection removeConnection getActiveConnectionCount isConnectionHealthy closeAllConnections
validateConnection cleanupConnection canAcceptConnection updateHealthStatus getHealth getMetrics updateConfig
ConnectionPoolStatus healthy degraded overloaded unavailable status utilizationRatio activeConnections
rejectedConnections averageResponseTime errorRate message performance connection_added connection_removed
connection_timeout connection_error pool_limit_reached health_status_changed ConnectionPoolFactory getOrCreate
getAllMetrics BaseServer initializeConnectionPool createConnectionPoolManager extractConnectionPoolConfig
setupConnectionPoolEventListeners
""".split()


@pytest.mark.parametrize("name", ["docs/move-from-koatty.md", "docs/move-from-koatty.zh-CN.md"])
def test_everything_of_koatty_serve_has_a_row(name):
    rows = [cells for _, cells in PAGES[name].tables()]
    words = set(re.findall(r"\w+", " ".join(code for cells in rows for code in re.findall(r"`([^`]+)`", cells[0]))))
    assert not set(KOATTY) - words
    # What they become are settings that there are.
    known = {key for keys in documented().values() for key in keys}
    options = [cells for heading, cells in PAGES[name].tables() if heading in ("Options", "选项")]
    told = [key for cells in options for key in re.findall(r"`([a-z0-9_]+)`", cells[1])]
    assert told and not set(told) - known - {*POOLS, "certificate", "key", "certificates", "client_ca", "client_auth"}


def test_both_languages_say_the_same():
    pages = [PAGES["docs/move-from-koatty.md"], PAGES["docs/move-from-koatty.zh-CN.md"]]
    english, chinese = ([[re.findall(r"`[^`]+`", cell) for cell in cells[:2]] for _, cells in page.tables()]
                        for page in pages)
    flat = lambda rows: [sorted(code for cell in row for code in cell) for row in rows]
    assert flat(english) == flat(chinese)
    assert [block.text for block in pages[0].blocks] == [block.text for block in pages[1].blocks]


# Rust.


def code(text):
    """Rust without its comments, its imports and its layout."""
    lines = (line for line in text.splitlines() if not line.startswith("use "))
    return "".join(re.sub(r"//.*", "", line) for line in lines).replace(" ", "")


COMPILED = [code(path.read_text()) for folder in ("examples", "tests")
            for path in REPOSITORY.glob(f"crates/*/{folder}/**/*.rs")]


@pytest.mark.parametrize("block", blocks("rust"))
def test_rust_that_is_shown_is_part_of_what_is_compiled(block):
    if any(code(block.text) in compiled for compiled in COMPILED):
        return
    raise AssertionError(f"{block}: in no example and no test: tests/pages.rs of a crate is the place for it")
