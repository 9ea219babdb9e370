// The pools as gauges against their limits, and one of them in full.

import { chart, draw, most } from "./chart.js";
import { byId, keyed, make, mark, say } from "./elements.js";
import { makeEndpoints, showEndpoints, upstream } from "./endpoints.js";
import { settings } from "./settings.js";
import { bytes, count, ms, rate } from "./words.js";

const NONE = [];
let open = null;

/** Shows every pool, below the listener that it belongs to. */
export function showPools(health, pools, past) {
  const unwell = pools.filter((pool) => pool.health.status !== "healthy").length;
  // During a drain none of them is available: that is said once, and not of each.
  const draining = health.state === "draining";
  say(byId("pools-note"), draining ? `${pools.length}, draining` : unwell ? `${unwell} of ${pools.length} not healthy` : `${pools.length}, all healthy`);
  const listeners = [...new Set(pools.map((pool) => pool.listener))];
  const groups = listeners.map((name) => ({
    name,
    listener: health.listeners.find((listener) => listener.name === name),
    pools: pools.filter((pool) => pool.listener === name),
  }));
  keyed(byId("pools"), groups, (group) => group.name, makeGroup, (element, group) => {
    const { listener } = group;
    const doing = listener ? [[listener.detecting, "detecting"], [listener.refusing, "being refused"]] : [];
    const also = doing.filter(([n]) => n > 0).map(([n, word]) => `${count(n)} ${word}`);
    const where = group.pools[0].endpoints ? upstream(group.pools[0]) : "closed";
    const [, rows, behind] = element.children;
    showEndpoints(behind, group.pools[0]);
    say(element.querySelector(".address"), listener ? [listener.address, ...also].join(" · ") : where);
    keyed(rows, group.pools, (pool) => pool.name, makeRow, (row, pool) => update(row, pool, past, draining));
  });
  if (open) refresh(pools, past);
}

function makeGroup(group) {
  const head = make("h3", {}, group.name, make("span", { class: "address" }));
  return make("div", { class: "group" }, head, make("div", { class: "rows" }), makeEndpoints());
}

function makeRow(pool) {
  const cell = (name, title, ...children) => make("span", { class: `cell ${name}`, "data-title": title }, ...children);
  return make(
    "button",
    { type: "button", class: "pool", "@click": () => show(pool.name) },
    cell("name", "", make("span", { class: "dot" }), make("b", {}, pool.protocol)),
    cell("level", "connections", gauge(), make("span", { class: "numbers" })),
    cell("curve", "", chart()),
    cell("requests", "requests/s"),
    cell("curve", "", chart()),
    cell("latency", "p50 · p95 · p99", make("i"), make("i"), make("i")),
    cell("refused", "refused"),
    make("span", { class: "why" }),
  );
}

function gauge() {
  const bar = make("span", { class: "gauge", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100 });
  bar.append(make("span", { class: "others" }), make("span", { class: "own" }));
  return bar;
}

function update(row, pool, past, draining) {
  const { health, metrics } = pool;
  const [, level, connections, requests, answered, latency, refused, why] = row.children;
  const [bar, numbers] = level.children;
  mark(row, "data-status", draining ? "draining" : health.status);
  mark(row, "data-quiet", health.active_connections === 0 && metrics.accepted === 0);
  mark(row, "aria-label", `${pool.name}, ${health.status}: details and settings`);
  const own = health.max_connections ? health.active_connections / health.max_connections : 0;
  bar.lastElementChild.style.width = `${Math.min(100, 100 * own)}%`;
  bar.firstElementChild.style.width = `${Math.min(100, 100 * Math.max(own, health.utilization_ratio))}%`;
  mark(bar, "aria-valuenow", Math.round(100 * health.utilization_ratio));
  mark(bar, "data-level", health.utilization_ratio >= 0.95 ? "high" : health.utilization_ratio >= 0.8 ? "raised" : "");
  say(numbers, `${count(health.active_connections)} / ${health.max_connections ? count(health.max_connections) : "∞"}`);
  say(requests, rate(metrics.performance.throughput));
  const { p50_ms, p95_ms, p99_ms } = metrics.performance.latency;
  [p50_ms, p95_ms, p99_ms].forEach((n, at) => say(latency.children[at], n ? ms(n) : "–"));
  say(refused, count(health.rejected_connections));
  mark(refused, "data-some", health.rejected_connections > 0);
  say(why, draining || health.status === "healthy" ? "" : health.message);
  const then = past.pools.find((entry) => entry.name === pool.name);
  const active = then?.active_connections ?? NONE;
  draw(connections.firstElementChild, [active], 4, `connections, at most ${count(most(active))}`);
  const perSecond = then?.requests_per_second ?? NONE;
  draw(answered.firstElementChild, [perSecond], 1, `requests a second, at most ${rate(most(perSecond))}`);
}

/** Opens one pool: its figures, and its settings to change. */
async function show(name) {
  say(byId("detail-title"), name);
  const figures = make("div", { class: "figures" });
  const latency = chart(3, "large");
  const scale = make("p", { class: "note scale" }, ...[0, 1, 2].map((n) => make("span", { class: `key-${n}` })), make("span"));
  const form = make("div", {});
  open = { name, figures, latency, scale };
  byId("detail-body").replaceChildren(
    figures,
    make("h3", {}, "Latency, the last ten minutes"),
    latency,
    scale,
    make("h3", {}, "Settings"),
    form,
  );
  byId("detail").showModal();
  byId("detail").addEventListener("close", () => { open = null; }, { once: true });
  document.dispatchEvent(new CustomEvent("wharf-refresh"));
  await settings(form, name);
}

function refresh(pools, past) {
  const pool = pools.find((entry) => entry.name === open.name);
  const { figures, latency, scale } = open;
  if (!pool) {
    figures.replaceChildren(make("p", {}, "This pool is not there any more."));
    return;
  }
  const { health, metrics } = pool;
  const facts = [
    ["health", health.message],
    ["connections", `${count(health.active_connections)} of ${health.max_connections ? count(health.max_connections) : "no limit"}`],
    ["accepted", `${count(metrics.accepted)}, ${rate(metrics.connections_per_second)} a second`],
    ["requests", `${count(metrics.requests)}, ${count(metrics.in_flight)} in flight`],
    ["outcomes", counts(metrics.requests_by_outcome)],
    ["errors", `${(100 * health.error_rate).toFixed(2)} % of the last minute`],
    ["closed", counts(metrics.closed_by_reason)],
    ["refused", counts(metrics.rejected_by_reason)],
    ["received, sent", `${bytes(metrics.bytes_received)}, ${bytes(metrics.bytes_sent)}`],
    ["memory, processor", `${bytes(metrics.performance.memory_usage_bytes)}, ${metrics.performance.cpu_usage_percent.toFixed(1)} %`],
  ];
  keyed(figures, facts, ([key]) => key, ([key]) => make("p", {}, make("span", {}, key), make("b")), (row, [, value]) => say(row.lastElementChild, value));
  const then = past.pools.find((entry) => entry.name === pool.name);
  const columns = then ? [then.p50_ms, then.p95_ms, then.p99_ms] : [NONE, NONE, NONE];
  draw(latency, columns, 1, `latency: 50th, 95th and 99th percentile, at most ${ms(most(columns[2]))}`);
  const now = metrics.performance.latency;
  ["p50", "p95", "p99"].forEach((name, n) => say(scale.children[n], `${name} ${ms(now[`${name}_ms`])}`));
  say(scale.lastElementChild, `at most ${ms(most(columns[2]))}`);
}

function counts(figures = {}) {
  const some = Object.entries(figures).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return some.map(([word, n]) => `${word} ${count(n)}`).join(", ") || "none";
}
