// What happens, as it happens, and what happened before the page was opened.

import { stream } from "./door.js";
import { byId, foreign, make, say } from "./elements.js";
import { clock, count, many, plain, time, written } from "./words.js";

const KEPT = 300;
/** What is told without being asked for: not the coming and going of connections. */
const NOTABLE = ["connection_timeout", "connection_error", "pool_limit_reached", "would_reject", "would_close", "health_status_changed", "config_changed", "endpoint_state_changed", "discovery_changed", "config_reloaded", "pressure_changed", "drain"];
const SENTENCES = {
  connection_added: (it) => `${it.peer} has come`,
  connection_removed: (it) => `${it.peer} has gone: ${it.reason}, after ${time(it.age_ms)} and ${many(it.requests, "request")}`,
  connection_timeout: (it) => `${it.peer} was too slow: ${it.reason}`,
  connection_error: (it) => `${it.peer}: ${it.reason}`,
  connection_moved: (it) => `${it.peer} has moved to ${it.to}`,
  pool_limit_reached: (it) => `${many(it.rejected, "newcomer")} turned away: ${it.reason}`,
  would_reject: (it) => `a dry run would have turned ${many(it.connections, "newcomer")} away: ${it.reason}`,
  would_close: (it) => `a dry run would have ended ${many(it.connections, "connection")}: ${it.reason}`,
  health_status_changed: (it) => `${it.from} → ${it.to}: ${it.cause}`,
  config_changed: (it) => it.diff.map((entry) => `${entry.key} ${written(entry.old)} → ${written(entry.new)}`).join(", "),
  discovery_changed: (it) => `${it.source} is ${it.state}: ${it.endpoints} endpoints`,
  endpoint_state_changed: (it) => `${it.endpoint} is ${it.state}: ${it.cause.replaceAll("_", " ")}`,
  config_reloaded: (it) => `${it.result}, ${many(it.changes, "setting")} changed`,
  drain: (it) => it.phase.replaceAll("_", " "),
  gap: (it) => (it.missed ? `${many(it.missed, "event")} not kept` : "what came before is not known"),
};
const GRAVE = new Set(["connection_timeout", "connection_error", "pool_limit_reached", "gap"]);

let reading = null;
let last = null;
let seen = 0;
let waiting = [];
let held = false;
let begun = () => Date.now();
let onDrain = () => {};

/** Begins to listen. `started` says when the server began, `drained` hears of the phases of its end. */
export function listen(started, drained) {
  begun = started;
  onDrain = drained;
  byId("every").addEventListener("change", restart);
  byId("hold").addEventListener("click", () => {
    held = !held;
    byId("hold").setAttribute("aria-pressed", held);
    say(byId("hold"), held ? "Go on" : "Hold");
    flush();
  });
  setInterval(flush, 250);
  empty();
  restart();
}

/** Begins again with what is kept: another choice, or another process. */
export function restart() {
  reading?.abort();
  reading = new AbortController();
  [last, seen, waiting] = [null, 0, []];
  empty();
  read(reading);
}

async function read(own) {
  const query = byId("every").checked ? "" : `&type=${NOTABLE.join(",")}`;
  while (!own.signal.aborted) {
    try {
      await stream(`/events?since=0${query}`, last, own.signal, (event) => {
        last = event.id;
        if (event.event === "drain") onDrain(event);
        waiting.push(event);
        // What is not shown soon will never be: the list has its bound.
        if (waiting.length > KEPT) waiting.shift();
        seen += 1;
      });
    } catch (error) {
      if (own.signal.aborted) return;
      if (error.status === 401) return;
    }
    await new Promise((done) => { setTimeout(done, 1000); });
  }
}

/** Shows what has come since the last time: in pieces, however fast it comes. */
function flush() {
  const list = byId("events");
  if (held) {
    say(byId("events-note"), waiting.length ? `held, ${count(waiting.length)} waiting` : "held");
    return;
  }
  if (waiting.length) {
    if (!list.querySelector("[data-event]")) list.replaceChildren();
    list.prepend(...waiting.reverse().map(line));
    waiting = [];
    while (list.children.length > KEPT) list.lastElementChild.remove();
  }
  say(byId("events-note"), seen ? `${count(Math.min(seen, KEPT))} latest` : "");
}

function empty() {
  byId("events").replaceChildren(make("li", { class: "empty" }, "Nothing worth telling has happened yet."));
}

function line(event) {
  const sentence = (SENTENCES[event.event] ?? rest)(event);
  return make(
    "li",
    { "data-event": event.event, "data-grave": GRAVE.has(event.event) ? "" : null },
    make("time", {}, event.at_ms === undefined ? "" : clock(begun() + event.at_ms)),
    make("code", {}, event.event),
    make("span", { class: "of" }, event.pool ?? ""),
    foreign(plain(sentence, 400), { class: "what" }),
  );
}

/** Of a kind that this page does not know: what it has of its own. */
function rest({ id: _, event: __, at_ms: ___, pool: ____, ...own }) {
  return Object.entries(own).map(([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
}
