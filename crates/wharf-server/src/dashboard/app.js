// The page: asks every second, shows what it is told, says so when nobody answers.

import { SAMPLES } from "./chart.js";
import { offer, prepare, showConnections } from "./connections.js";
import { get, keepToken } from "./door.js";
import { forgetDrain, isDraining, phase, prepareDrain, showDrain } from "./drain.js";
import { byId, closable, fault, mark, say } from "./elements.js";
import { listen, restart } from "./events.js";
import { overview } from "./overview.js";
import { showPools } from "./pools.js";
import { clock, many, time } from "./words.js";

const EVERY = 1000;
const COLUMNS = ["at_ms", "active_connections", "resident_bytes", "cpu_usage_percent"];
const POOL_COLUMNS = ["active_connections", "in_flight", "connections_per_second", "requests_per_second", "p50_ms", "p95_ms", "p99_ms"];
const NOTHING = () => ({ at_ms: [], active_connections: [], resident_bytes: [], cpu_usage_percent: [], pools: [] });

let past = NOTHING();
let started = null;
let heard = null;
let round = 0;
let busy = false;
let timer;

async function refresh() {
  clearTimeout(timer);
  // A page that nobody looks at asks for nothing.
  if (busy || document.hidden || byId("ask-token").open) {
    timer = setTimeout(refresh, EVERY);
    return;
  }
  busy = true;
  try {
    await look();
  } catch (error) {
    complain(error);
  }
  busy = false;
  timer = setTimeout(refresh, EVERY);
}

async function look() {
  const [health, { pools }] = await Promise.all([get("/health"), get("/pools")]);
  if (started !== null && Date.now() - health.uptime_ms - started > 5000) begin(health);
  started ??= Date.now() - health.uptime_ms;
  if (round % 5 === 0) await remember();
  if (round % 2 === 0) await showConnections();
  round += 1;
  heard = Date.now();
  const begun = performance.now();
  fault(byId("notice"), "");
  document.body.removeAttribute("data-stale");
  head(health);
  overview(health, pools, past);
  showPools(health, pools, past);
  offer(pools.map((pool) => pool.name));
  showDrain(health, pools);
  performance.measure("wharf-update", { start: begun });
}

/** Another process answers: nothing that is known is about it. */
function begin(health) {
  past = NOTHING();
  round = 0;
  started = Date.now() - health.uptime_ms;
  forgetDrain();
  restart();
}

/** Adds the samples that have come since the last time. */
async function remember() {
  const more = await get(`/pools/history?since=${past.at_ms.at(-1) ?? ""}`);
  const before = past.at_ms.length;
  const join = (old, added) => [...old, ...added].slice(-SAMPLES);
  const none = (length) => Array(length).fill(null);
  const names = new Set([...past.pools, ...more.pools].map((pool) => pool.name));
  const pools = [...names].map((name) => {
    const old = past.pools.find((pool) => pool.name === name);
    const added = more.pools.find((pool) => pool.name === name);
    const columns = POOL_COLUMNS.map((key) => [key, join(old?.[key] ?? none(before), added?.[key] ?? none(more.at_ms.length))]);
    const reasons = new Set([old, added].flatMap((pool) => Object.keys(pool?.rejected_by_reason ?? {})));
    const rejected = [...reasons].map((reason) => [reason, join(old?.rejected_by_reason[reason] ?? none(before), added?.rejected_by_reason[reason] ?? none(more.at_ms.length))]);
    return { name, ...Object.fromEntries(columns), rejected_by_reason: Object.fromEntries(rejected) };
  });
  // A pool without a sample in all that time is gone.
  past = { pools: pools.filter((pool) => pool.active_connections.some((n) => n !== null)), ...Object.fromEntries(COLUMNS.map((key) => [key, join(past[key], more[key])])) };
}

function head(health) {
  const status = byId("status");
  const draining = health.state === "draining";
  mark(status, "data-status", draining ? "draining" : health.status);
  say(status.querySelector("b"), draining ? "draining" : health.status);
  const unwell = health.pools.filter((pool) => pool.status === health.status && pool.status !== "healthy");
  // The message begins with the status, which stands there already.
  const reason = (pool) => `${pool.message.replace(`${pool.status} `, "")} in ${pool.name}`;
  const more = unwell.length > 1 ? ` and ${many(unwell.length - 1, "more pool")}` : "";
  const cause = unwell.length ? reason(unwell[0]) + more : health.pools[0]?.message ?? "";
  say(byId("cause"), draining ? "" : cause);
  const file = health.config?.file;
  const config = health.config?.status === "rejected" ? "the file was refused, the last good one is in force" : file?.split("/").at(-1);
  mark(byId("facts"), "title", file ?? null);
  say(byId("facts"), [`up ${time(health.uptime_ms)}`, config, `version ${health.version}`].filter(Boolean).join(" · "));
  document.title = draining || health.status !== "healthy" ? `${draining ? "draining" : health.status} · wharf` : "wharf";
  byId("drain").disabled = draining;
}

function complain(error) {
  if (error.status === 401) {
    askToken();
    return;
  }
  mark(byId("status"), "data-status", "unknown");
  say(byId("cause"), "");
  byId("drain").disabled = true;
  document.body.setAttribute("data-stale", "");
  if (isDraining()) {
    say(byId("status").querySelector("b"), "ended");
    showDrain(null, []);
    return;
  }
  say(byId("status").querySelector("b"), "no answer");
  const since = heard ? ` What you see is from ${clock(heard)}.` : "";
  fault(byId("notice"), error.status ? `The server refuses: ${error.message}.${since}` : `The server does not answer; trying again every second.${since}`);
}

let tried = false;

function askToken() {
  fault(byId("token-fault"), tried ? "The server refused that token." : "");
  if (!byId("ask-token").open) byId("ask-token").showModal();
  byId("token").select();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  byId("token").value = "";
  tried = true;
  byId("ask-token").close();
  round = 0;
  restart();
  refresh();
});
// There is nothing to see without it.
byId("ask-token").addEventListener("cancel", (event) => event.preventDefault());

const again = () => {
  round -= round % 2;
  refresh();
};
prepare(again);
prepareDrain();
closable(byId("detail"));
listen(() => started ?? Date.now(), phase);
document.addEventListener("wharf-refresh", again);
document.addEventListener("visibilitychange", refresh);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, dialog")) return;
  event.preventDefault();
  byId("filter").elements.peer.focus();
});
refresh();
