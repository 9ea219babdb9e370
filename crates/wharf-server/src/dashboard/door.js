// The way to the API: requests with the token of this tab, problems as errors, the stream of events.

const KEPT = "wharf-admin-token";

/** A request that was answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `status ${status}`);
    this.status = status;
    this.errors = Array.isArray(problem.errors) ? problem.errors : [];
  }
}

/** Keeps the token until the tab is closed. */
export function keepToken(token) {
  sessionStorage.setItem(KEPT, token);
}

const token = () => sessionStorage.getItem(KEPT);

function headers(more = {}) {
  const bearer = token();
  return bearer ? { authorization: `Bearer ${bearer}`, ...more } : more;
}

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(10_000), ...options });
  const body = await answer.text();
  let told;
  try {
    told = JSON.parse(body);
  } catch {
    told = { title: body.slice(0, 200) };
  }
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

/** Reads. */
export const get = (path) => ask(path, { headers: headers() });

/** Writes. */
export function write(method, path, body) {
  const own = { "x-wharf-admin": "1" };
  if (body !== undefined) own["content-type"] = "application/json";
  return ask(path, { method, headers: headers(own), body: body === undefined ? undefined : JSON.stringify(body) });
}

/** Reads the stream at `path` until it ends; `tell` gets each event. EventSource could send no token. */
export async function stream(path, last, signal, tell) {
  const own = { accept: "text/event-stream" };
  if (last) own["last-event-id"] = last;
  const answer = await fetch(path, { headers: headers(own), cache: "no-store", signal });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data:"));
      if (data.length) tell(JSON.parse(data.map((line) => line.slice(5)).join("\n")));
    }
  }
}
