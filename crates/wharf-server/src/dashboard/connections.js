// Who is connected: sorted and chosen by the server, so that a table of thousands stays a short one.

import { get, write } from "./door.js";
import { byId, fault, foreign, keyed, make, mark, say } from "./elements.js";
import { bytes, count, many, plain, time } from "./words.js";

const COLUMNS = [
  ["peer", "Peer", "peer"],
  ["pool", "Pool", "pool"],
  ["state", "State", "state"],
  ["age_ms", "Age", "-age_ms"],
  ["idle_ms", "Idle", "-idle_ms"],
  ["requests", "Requests", "-requests"],
  ["in_flight", "In flight", "-in_flight"],
  ["bytes_received", "Received", "-bytes_received"],
  ["bytes_sent", "Sent", "-bytes_sent"],
  [null, "Client", null],
];
const LIMITS = [25, 200, 1000];

let sort = "-age_ms";
let limit = LIMITS[0];
let open = null;
let body;

/** Makes the table; `refresh` is called when something else is asked for. */
export function prepare(refresh) {
  body = make("tbody");
  byId("connections").append(make("thead", {}, make("tr", {}, ...COLUMNS.map(head(refresh)))), body);
  byId("filter").addEventListener("input", refresh);
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => {
    limit = LIMITS[Math.min(LIMITS.indexOf(limit) + 1, LIMITS.length - 1)];
    refresh();
  });
}

function head(refresh) {
  return ([key, title, first]) => {
    if (!key) return make("th", { scope: "col" }, title);
    const turn = () => {
      sort = sort === first ? (first.startsWith("-") ? first.slice(1) : `-${first}`) : first;
      refresh();
    };
    return make("th", { scope: "col", "data-key": key }, make("button", { type: "button", "@click": turn }, title));
  };
}

/** The pools that can be chosen. */
export function offer(names) {
  const select = byId("filter").elements.pool;
  keyed(select, ["", ...names], (name) => name, (name) => make("option", { value: name }, name || "all"), () => {});
}

/** Asks for the connections and shows them. */
export async function showConnections() {
  const wanted = new FormData(byId("filter"));
  const query = new URLSearchParams({ ...Object.fromEntries(wanted), sort, limit });
  const path = `/connections?${query}`;
  try {
    const found = await get(path);
    const begun = performance.now();
    show(found, [...wanted.values()].some((value) => value !== ""));
    performance.measure("wharf-connections", { start: begun });
    fault(byId("connections-fault"), "");
  } catch (error) {
    if (error.status !== 400) throw error;
    // What is being written is not yet what will be asked for.
    fault(byId("connections-fault"), error.errors.map((wrong) => `${wrong.key}: ${wrong.remedy}`).join("; ") || error.message);
  }
}

function show({ connections, total, truncated }, narrowed) {
  for (const th of byId("connections").querySelectorAll("th[data-key]")) {
    const by = sort.replace("-", "") === th.dataset.key;
    mark(th, "aria-sort", by ? (sort.startsWith("-") ? "descending" : "ascending") : null);
  }
  const which = narrowed ? " that match" : "";
  say(byId("connections-note"), truncated ? `${count(connections.length)} of ${count(total)}${which}` : `${count(total)}${which}`);
  byId("more").hidden = !truncated || limit === LIMITS.at(-1);
  keyed(body, connections, (it) => it.id, makeRow, update);
  mark(byId("connections"), "data-empty", connections.length === 0 ? (narrowed ? "No connection matches." : "Nobody is connected.") : null);
  if (open) refreshOpen(connections);
}

function makeRow(it) {
  // Keys reach the button; its click is the row's too.
  const peer = make("button", { type: "button" }, plain(it.peer, 80));
  const row = make("tr", { "@click": () => showOne(it.id) }, make("td", {}, peer), make("td"), make("td", { class: "state" }, make("span")), ...Array.from({ length: 6 }, () => make("td", { class: "number" })));
  row.append(make("td", { class: "client" }, foreign("")));
  return row;
}

function update(row, it) {
  row.it = it;
  const [, pool, state, age, idle, requests, flight, received, sent, client] = row.children;
  say(pool, it.pool ?? it.listener);
  say(state.firstChild, it.state);
  mark(state, "data-state", it.healthy === false ? "unwell" : it.state);
  say(age, time(it.age_ms));
  say(idle, it.in_flight ? "–" : time(it.idle_ms));
  say(requests, count(it.requests));
  say(flight, count(it.in_flight));
  say(received, bytes(it.bytes_received));
  say(sent, bytes(it.bytes_sent));
  say(client.firstChild, plain(it.user_agent ?? "", 60));
}

/** Opens one connection. */
function showOne(id) {
  const row = [...body.children].find((child) => child.dataset.key === id);
  if (!row) return;
  const facts = make("div", { class: "figures" });
  const told = make("p", { class: "note", role: "status" });
  const close = make("button", { type: "button", class: "danger" }, "Close this connection");
  close.addEventListener("click", () => end(id, close, told));
  open = { id, it: row.it, facts, close, told };
  say(byId("detail-title"), `Connection ${id}`);
  byId("detail-body").replaceChildren(facts, make("p", { class: "note" }, "It is asked to finish, as its protocol has it: a request in flight is still answered."), make("div", { class: "buttons" }, close), told);
  refreshOpen([row.it]);
  byId("detail").showModal();
  byId("detail").addEventListener("close", () => { open = null; }, { once: true });
}

async function end(id, button, told) {
  button.disabled = true;
  try {
    await write("DELETE", `/connections/${encodeURIComponent(id)}`);
    say(told, "It has been asked to finish.");
    document.dispatchEvent(new CustomEvent("wharf-refresh"));
  } catch (error) {
    say(told, error.status === 404 ? "It has ended." : error.message);
    button.disabled = error.status === 404;
  }
}

/** Shows the newest that is known of the open connection; asks alone for one that the table has not. */
async function refreshOpen(connections) {
  const { id } = open;
  let it = connections.find((entry) => entry.id === id);
  if (!it) {
    const { connections: [found] } = await get(`/connections?limit=1&peer=${encodeURIComponent(open.it.peer)}`);
    it = found?.id === id ? found : null;
  }
  if (open?.id !== id) return;
  if (!it) {
    open.close.disabled = true;
    say(open.told, "It has ended.");
    return;
  }
  open.it = it;
  keyed(open.facts, facts(it), ([key]) => key, ([key]) => make("p", {}, make("span", {}, key), foreign("", { class: "value" })), (row, [, value]) => say(row.lastElementChild, plain(value, 400)));
}

function facts(it) {
  const tls = it.tls;
  return [
    ["peer", it.peer],
    ["by proxy", it.proxy],
    ["to", `${it.local}, ${it.pool ?? it.listener}`],
    ["state", it.healthy === false ? `${it.state}, not healthy` : it.state],
    ["open for", time(it.age_ms)],
    ["idle for", it.in_flight ? "not idle" : time(it.idle_ms)],
    ["requests", `${count(it.requests)}, ${many(it.in_flight, "of them", "of them")} in flight`],
    ["received, sent", `${bytes(it.bytes_received)}, ${bytes(it.bytes_sent)}`],
    ["TLS", tls && [tls.version, tls.cipher, tls.alpn, tls.resumed ? "resumed" : null].filter(Boolean).join(", ")],
    ["server name", tls?.server_name],
    ["certificate of", tls?.client],
    ["client", it.user_agent],
  ].filter(([, value]) => value).map(([key, value]) => [key, String(value)]);
}
