// The figures of the whole process, each with its last ten minutes.

import { chart, draw, most, sum } from "./chart.js";
import { byId, make, mark, say } from "./elements.js";
import { bytes, count, many, ms, rate } from "./words.js";

const tiles = new Map();

function tile(name) {
  if (!tiles.has(name)) {
    const parts = { value: make("b"), unit: make("span"), note: make("p", { class: "note" }), chart: chart() };
    const head = make("p", { class: "figure" }, parts.value, parts.unit);
    parts.element = make("div", { class: "tile" }, make("h2", {}, name), head, parts.note, parts.chart);
    byId("overview").append(parts.element);
    tiles.set(name, parts);
  }
  return tiles.get(name);
}

function show(name, value, unit, note, column, least, shown, tone = null) {
  const parts = tile(name);
  say(parts.value, value);
  say(parts.unit, unit);
  say(parts.note, note);
  mark(parts.element, "data-tone", tone);
  draw(parts.chart, [column], least, `${name}, the last ten minutes: at most ${shown(most(column))}`);
}

/** Shows what the process does now and did before. */
export function overview(health, pools, past) {
  const total = (figure) => pools.reduce((all, pool) => all + figure(pool), 0);
  const limit = health.max_connections;
  const used = limit ? `${((100 * health.active_connections) / limit).toFixed(1)} % of ${count(limit)}` : "no limit";
  const sources = health.sources === undefined ? "" : `, ${many(health.sources, "source")}`;
  show("Connections", count(health.active_connections), "", used + sources, past.active_connections, 4, count);

  const inFlight = total((pool) => pool.metrics.in_flight);
  const requests = total((pool) => pool.metrics.performance.throughput);
  const perSecond = sum(past.pools.map((pool) => pool.requests_per_second));
  show("Requests", rate(requests), "/ s", `${count(inFlight)} in flight`, perSecond, 1, rate);

  const slowest = pools.reduce((worst, pool) => (p99(pool) > p99(worst) ? pool : worst), pools[0]);
  const worst = past.at_ms.map((_, n) => Math.max(0, ...past.pools.map((pool) => pool.p99_ms[n] ?? 0)));
  const [value, unit] = slowest && p99(slowest) > 0 ? ms(p99(slowest)).split(" ") : ["–", ""];
  show("Latency p99", value, unit, value === "–" ? "no requests in the last minute" : `in ${slowest.name}, the slowest`, worst, 1, ms);

  const refused = sum(past.pools.flatMap((pool) => Object.values(pool.rejected_by_reason)));
  const lately = refused.reduce((all, n) => all + n, 0);
  show("Refused", count(lately), "in 10 min", reasons(past) || "nobody was turned away", refused, 1, count, lately ? "warn" : null);

  const cpu = past.cpu_usage_percent.at(-1);
  const open = health.process.open_descriptors;
  const note = `${cpu === undefined || cpu === null ? "–" : `${Math.round(cpu)} %`} of a core, ${many(open, "descriptor")}`;
  const [size, sizeUnit] = bytes(health.process.resident_bytes).split(" ");
  show("Memory", size, sizeUnit ?? "", note, past.resident_bytes, 1 << 20, bytes);
}

const p99 = (pool) => pool.metrics.performance.latency.p99_ms;

/** Why newcomers were turned away in the last ten minutes, the most frequent first. */
function reasons(past) {
  const counts = new Map();
  for (const pool of past.pools) {
    for (const [reason, column] of Object.entries(pool.rejected_by_reason)) {
      counts.set(reason, (counts.get(reason) ?? 0) + column.reduce((all, n) => all + (n ?? 0), 0));
    }
  }
  const found = [...counts].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  return found.map(([reason, n]) => `${reason} ${count(n)}`).join(", ");
}
