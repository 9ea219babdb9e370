// The end of the server: asked for, watched.

import { get, write } from "./door.js";
import { byId, closable, fault, make, mark, say } from "./elements.js";
import { count, many, time } from "./words.js";

const PHASES = [
  ["delay", "not ready any more"],
  ["closing_listeners", "closing the listeners"],
  ["finishing", "finishing what is in flight"],
  ["cutting", "cutting what is left"],
  ["drained", "drained"],
];

const seen = { since: null, phase: null, most: 0, left: 0, flight: 0, timeout: "" };
let parts;

/** Makes the question and its answer. */
export function prepareDrain() {
  closable(byId("ask-drain"));
  byId("drain").addEventListener("click", async () => {
    fault(byId("ask-drain-fault"), "");
    say(byId("ask-drain-text"), await consequences());
    byId("ask-drain").showModal();
  });
  byId("ask-drain-yes").addEventListener("click", async () => {
    try {
      await write("POST", "/drain");
      byId("ask-drain").close();
      document.dispatchEvent(new CustomEvent("wharf-refresh"));
    } catch (error) {
      fault(byId("ask-drain-fault"), error.message);
    }
  });
}

async function consequences() {
  const { config } = await get("/config").catch(() => ({ config: null }));
  const { drain_delay: delay, drain_timeout: timeout } = config?.server ?? {};
  seen.timeout = timeout ?? "";
  const first = delay && !/^0/.test(delay) ? `It stops being ready, serves for ${delay} more, then` : "It stops being ready, then";
  return `${first} closes its listeners. What is in flight gets ${timeout ?? "its time"} to end; what is left is cut, and the process ends.`;
}

/** Hears of a phase. */
export function phase(event) {
  seen.phase = event.phase;
}

/** Forgets an end that was another process's. */
export function forgetDrain() {
  Object.assign(seen, { since: null, phase: null, most: 0, left: 0, flight: 0 });
  byId("progress").hidden = true;
}

/** Whether the server was on its way out when it was last heard of. */
export const isDraining = () => seen.since !== null;

/** Shows how far the drain is; `health` is null once nobody answers any more. */
export function showDrain(health, pools) {
  if (health && health.state !== "draining") return;
  seen.since ??= Date.now();
  if (health) {
    seen.left = health.active_connections;
    seen.most = Math.max(seen.most, seen.left);
    seen.flight = pools.reduce((all, pool) => all + pool.metrics.in_flight, 0);
  }
  parts ??= frame();
  byId("progress").hidden = false;
  const at = health ? PHASES.findIndex(([name]) => name === seen.phase) : PHASES.length - 1;
  [...parts.steps.children].forEach((step, n) => {
    mark(step, "data-step", n < at ? "done" : n === at ? "now" : "next");
    mark(step, "aria-current", n === at ? "step" : null);
  });
  const left = health ? seen.left : 0;
  parts.bar.max = Math.max(1, seen.most);
  parts.bar.value = seen.most - left;
  if (health) {
    const limit = seen.timeout ? ` of ${seen.timeout}` : "";
    say(parts.text, `${many(left, "connection")} left of ${count(seen.most)}, ${many(seen.flight, "request")} in flight, ${time(Date.now() - seen.since)}${limit}`);
  } else {
    say(parts.text, "The server has drained and its process has ended. This page comes back to life when it does.");
  }
}

function frame() {
  const steps = make("ol", { class: "steps" }, ...PHASES.map(([, words]) => make("li", {}, words)));
  const made = { steps, bar: make("progress", { "aria-label": "Connections that have ended" }), text: make("p", { role: "status" }) };
  byId("progress").append(make("h2", {}, "Draining"), made.steps, made.bar, made.text);
  get("/config").then(({ config }) => { seen.timeout = config.server.drain_timeout; }).catch(() => {});
  return made;
}
