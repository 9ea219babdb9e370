"""Chromium: an idle tab that is left alone, and sessions over each way to them."""

import time

import pytest

from harness import Authority, Browser, eventually

pytestmark = [
    pytest.mark.skipif(not Browser.program(), reason="Chromium is not installed"),
    pytest.mark.xdist_group("browser"),
]
QUIET = {"access": False}
TLS = ("https", "http2", "websocket")

# Opens a session, says things one after another, and tells how it went.
TALK = """new Promise((done) => {
    const heard = [], said = ["text", "späße ☕", "", "x".repeat(200000), new Uint8Array([0, 255, 7])];
    const session = new WebSocket("%s", %s);
    session.binaryType = "arraybuffer";
    const next = () => heard.length < said.length ? session.send(said[heard.length])
                                                  : session.close(1000, "bye");
    session.onopen = next;
    session.onmessage = ({ data }) => {
        heard.push(typeof data === "string" ? data : Array.from(new Uint8Array(data)));
        next();
    };
    session.onclose = ({ code, wasClean }) => done({ heard, code, wasClean, protocol: session.protocol });
})"""
HEARD = ["text", "späße ☕", "", "x" * 200_000, [0, 255, 7]]
WELL = {"heard": HEARD, "code": 1000, "wasClean": True, "protocol": ""}

# Opens sessions that stay, in the page's own list; the promise is of how many are open.
OPEN = """new Promise((done, failed) => {
    window.sessions = Array.from({ length: %d }, () => new WebSocket("%s"));
    window.codes = [];
    let open = 0;
    for (const session of window.sessions) {
        session.onopen = () => { if (++open === window.sessions.length) done(open); };
        session.onclose = ({ code }) => { window.codes.push(code); failed(`closed with ${code}`); };
    }
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def serve_page(serve, tmp_path):
    """A server for the browser: in plain, or over TLS with these keys of its HTTP/2 pool."""
    def start(protocols=("http", "http2", "websocket"), tls=False, http2=None, ws=None, **more):
        listener, pools = {"protocols": list(protocols)}, {"websocket": ws or {}}
        if tls:
            listener["tls"] = Authority().issue("localhost").write(tmp_path)
        if "http2" in protocols:
            pools["http2"] = http2 or {}
        return serve(listener=listener, pools=pools, log=QUIET, **more)
    return start


def url(server, path="/hello", scheme="https"):
    return f"{scheme}://localhost:{server.address[1]}{path}"


def active(server):
    """Open connections by protocol."""
    return server.metrics().by("wharf_connections_active", "protocol")


def ended(server):
    """Why connections have ended that the browser did not leave.

    It makes a second one beside the first, and drops it unread, when the first turns out to be HTTP/2.
    """
    reasons = server.metrics().by("wharf_connections_closed_total", "reason")
    return {why: n for why, n in reasons.items() if why not in ("client_closed", "peer_reset")}


def used(server):
    """The ids of the connections that requests have come on; the browser makes spare ones."""
    connections = server.json("/connections")["connections"]
    return {connection["id"] for connection in connections if connection["requests"]}


# Idle tabs.


def idle_tab(browser, server, seconds):
    """A tab that says nothing for so long and then asks again: the connections that it used."""
    with browser.open(url(server)) as tab:
        script = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert tab.run(script) == "h2"
        before = used(server)
        time.sleep(seconds)
        assert tab.run('fetch("/hello", { cache: "no-store" }).then((it) => it.text())') == "Hello, World!"
        after = used(server)
    assert server.metrics().total("wharf_http2_abuse_total") == 0
    return before, after


def test_an_idle_tab_answers_pings_and_its_own_are_no_abuse(serve_page, browser):
    # After 10 s of silence Chromium asks with a PING of its own whether the connection still is.
    http2 = {"ping_interval": "500ms", "ping_timeout": "2s"}
    with serve_page(TLS, tls=True, http2=http2) as server:
        before, after = idle_tab(browser, server, 12)
        assert not ended(server), server.tail()
        assert before and before <= after


@pytest.mark.long
@pytest.mark.parametrize("interval", ["1s", None])
def test_a_tab_that_is_idle_for_five_minutes_is_left_alone(serve_page, browser, interval):
    http2 = {"ping_interval": interval} if interval else {}
    with serve_page(TLS, tls=True, http2=http2) as server:
        idle_tab(browser, server, 290)
        assert set(ended(server)) <= {"idle"}


def test_a_tab_whose_connection_was_idle_too_long_makes_another(serve_page, browser):
    with serve_page(TLS, tls=True, http2={"keep_alive_timeout": "1s"}) as server:
        before, after = idle_tab(browser, server, 3)
        assert before and not before & after and set(ended(server)) == {"idle"}


def test_a_tab_that_loads_much_at_once_is_no_abuse(serve_page, browser):
    with serve_page(TLS, tls=True) as server, browser.open(url(server)) as tab:
        # Half of them are given up at once, as when a user leaves a page.
        script = """Promise.all(Array.from({ length: 200 }, (_, n) => {
            const given = new AbortController();
            const asked = fetch(`/slow?ms=${20 + n}`, { cache: "no-store", signal: given.signal });
            if (n % 2) setTimeout(() => given.abort(), 5);
            return asked.then((answer) => answer.status, (error) => String(error));
        }))"""
        for _ in range(3):
            answers = tab.run(script)
            assert set(answers[::2]) == {200}, answers
        assert server.metrics().total("wharf_http2_abuse_total") == 0
        assert not ended(server)


# Sessions.


def talk(tab, server, scheme, protocols="[]"):
    return tab.run(TALK % (url(server, "/ws", scheme), protocols))


def test_a_session_in_plain(serve_page, browser):
    with serve_page() as server, browser.open(url(server, scheme="http")) as tab:
        with server.expecting():
            assert talk(tab, server, "ws") == WELL


def test_a_session_over_tls(serve_page, browser):
    with serve_page(("https", "websocket"), tls=True) as server, browser.open(url(server)) as tab:
        with server.expecting():
            assert talk(tab, server, "wss") == WELL


def test_a_session_on_a_stream_of_http2(serve_page, browser):
    with serve_page(TLS, tls=True) as server, browser.open(url(server)) as tab:
        assert tab.run(OPEN % (3, url(server, "/ws", "wss"))) == 3
        assert server.json("/pools/web/websocket")["sessions"] == 3
        assert talk(tab, server, "wss") == WELL
        # They were no connections of their own.
        accepted = server.metrics().by("wharf_connections_accepted_total", "protocol")
        assert set(active(server)) == {"http2"} and not ended(server)
        assert not accepted.get("websocket") and not accepted.get("https")


def test_sessions_that_stay_answer_pings_and_count(serve_page, browser):
    with serve_page(ws={"ping_interval": "500ms", "pong_timeout": "1s"}) as server:
        with browser.open(url(server, scheme="http")) as tab, server.expecting():
            assert tab.run(OPEN % (5, url(server, "/ws", "ws"))) == 5
            time.sleep(3)
            assert active(server)["websocket"] == 5 and tab.run("window.codes") == []
            tab.run("window.sessions.forEach((session) => session.close())")
            assert eventually(lambda: active(server).get("websocket", 0) == 0)


@pytest.mark.parametrize("way", ["ws", "wss"])
def test_a_page_is_told_why_its_session_ends(serve_page, browser, way):
    tls, protocols = (True, ("https", "websocket")) if way == "wss" else (False, ("http", "websocket"))
    with serve_page(protocols, tls=tls, ws={"max_message_size": "64KiB"}) as server:
        with browser.open(url(server, scheme=way.replace("ws", "http"))) as tab:
            assert tab.run(OPEN % (1, url(server, "/ws", way))) == 1
            tab.run("window.sessions[0].send('x'.repeat(70000))")
            assert eventually(lambda: tab.run("window.codes") == [1009], 3)


def test_a_page_from_elsewhere_gets_no_session(serve_page, browser):
    with serve_page(ws={"allowed_origins": ["https://app.example"]}) as server:
        with browser.open(url(server, scheme="http")) as tab:
            told = talk(tab, server, "ws")
            assert (told["code"], told["heard"]) == (1006, [])
