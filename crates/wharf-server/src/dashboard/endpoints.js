// The endpoints behind an upstream: where requests go, and how each of them does.

import { foreign, keyed, make, mark, say } from "./elements.js";
import { count, many, ms, plain, time } from "./words.js";

// Each column: its name, and what an endpoint has there.
const COLUMNS = [
  ["endpoint", (it) => plain(it.address)],
  ["state", (it) => it.state],
  ["weight", (it) => count(it.weight)],
  ["in flight", (it) => count(it.in_flight)],
  ["active", (it) => count(it.active_connections)],
  ["idle", (it) => count(it.idle_connections)],
  ["waiting", (it) => count(it.waiting)],
  ["latency", (it) => (it.average_response_time_ms ? ms(it.average_response_time_ms) : "–")],
  ["failures", (it) => count(it.failures)],
];
const IN_FLIGHT = 3;
// More are for whoever asks the API.
const SHOWN = 100;

/** What is said of an upstream beside its name. */
export function upstream(pool) {
  const { discovery: it } = pool;
  if (!it) return `upstream, ${many(pool.endpoints.length, "endpoint")}`;
  const known = it.revision !== null ? ` at revision ${count(it.revision)}` : it.ttl_ms !== null ? ` for ${time(it.ttl_ms)}` : "";
  const changed = it.changed_ms_ago === null ? "" : `, changed ${time(it.changed_ms_ago)} ago`;
  return `upstream, ${many(it.endpoints, "endpoint")} by ${it.source}${known}${changed}`;
}

/** A place for the endpoints of an upstream. */
export function makeEndpoints() {
  const heads = COLUMNS.map(([name]) => make("th", { scope: "col" }, name));
  const table = make("table", { class: "endpoints" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}));
  return make("div", { class: "behind" }, make("p", { class: "source" }), make("div", { class: "scroll" }, table), make("p", { class: "note" }));
}

/** Shows the endpoints of an upstream; nothing for a listener. */
export function showEndpoints(element, pool) {
  const all = pool.endpoints ?? [];
  const [source, scroll, note] = element.children;
  element.hidden = !pool.endpoints;
  const wrong = pool.discovery?.error;
  say(source, wrong ? plain(`${pool.discovery.source} is ${pool.discovery.state}: ${wrong}`) : "");
  mark(source, "data-state", pool.discovery?.state ?? null);
  scroll.hidden = all.length === 0;
  const busiest = Math.max(1, ...all.map((it) => it.in_flight));
  keyed(scroll.querySelector("tbody"), all.slice(0, SHOWN), (it) => it.address, makeRow, (row, it) => {
    mark(row, "data-state", it.state);
    COLUMNS.forEach(([, of], at) => say(row.children[at].lastElementChild, of(it)));
    const bar = row.children[IN_FLIGHT].firstElementChild;
    bar.firstElementChild.style.width = `${(100 * it.in_flight) / busiest}%`;
  });
  say(note, all.length > SHOWN ? `and ${count(all.length - SHOWN)} more` : "");
}

function makeRow() {
  const cells = COLUMNS.map(([name], at) => {
    const text = at === 0 ? foreign("") : make("span", {});
    const bar = at === IN_FLIGHT ? make("span", { class: "gauge", "aria-hidden": "true" }, make("span", { class: "own" })) : null;
    return make("td", { "data-title": name }, bar, text);
  });
  return make("tr", {}, ...cells);
}
