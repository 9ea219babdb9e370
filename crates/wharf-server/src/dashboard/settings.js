// The settings of a pool: written, compared, applied.

import { get, write } from "./door.js";
import { make, mark, say } from "./elements.js";
import { plain, written } from "./words.js";

/** Fills `place` with the settings of that pool, to be changed. */
export async function settings(place, name) {
  let config;
  try {
    ({ config } = await get(`/pools/${name}`));
  } catch (error) {
    place.replaceChildren(make("p", { class: "fault" }, error.message));
    return;
  }
  const diff = make("ul", { class: "diff", "aria-label": "What will change" });
  const apply = make("button", { type: "submit", class: "primary", disabled: true }, "Apply");
  const undo = make("button", { type: "button", disabled: true, "@click": () => settings(place, name) }, "Undo");
  const told = make("div", { class: "told", role: "status" });
  const rows = Object.entries(config).map(([key, value]) => row(key, value));
  const form = make("form", { class: "settings" }, ...rows.map((it) => it.element), make("div", { class: "apply" }, diff, make("div", { class: "buttons" }, undo, apply), told));
  const compare = () => {
    const changed = rows.filter(differs);
    diff.replaceChildren(...changed.map((it) => change(it.key, written(it.value), it.input.value.trim())));
    apply.disabled = undo.disabled = changed.length === 0;
  };
  form.addEventListener("input", compare);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    apply.disabled = true;
    await put(rows, name, told);
    compare();
  });
  place.replaceChildren(form);
}

function row(key, value) {
  const id = `setting-${key}`;
  const input = make("input", { id, name: key, ".value": written(value), placeholder: "none", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-fault` });
  const wrong = make("p", { class: "fault", id: `${id}-fault`, role: "alert", hidden: "" });
  return { key, value, input, wrong, element: make("div", { class: "setting" }, make("label", { for: id }, key), input, wrong) };
}

const differs = (it) => it.input.value.trim() !== written(it.value);

/** The value in the type that the setting has: a number stays one, a list is split at its commas. */
function typed(it) {
  const text = it.input.value.trim();
  if (Array.isArray(it.value)) return text === "" ? [] : text.split(",").map((item) => item.trim());
  if (/^\d+$/.test(text)) return Number(text);
  if (typeof it.value === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

async function put(rows, name, told) {
  const changed = rows.filter(differs);
  for (const it of rows) {
    it.wrong.hidden = true;
    mark(it.input, "aria-invalid", null);
  }
  try {
    const { diff } = await write("PATCH", `/pools/${name}`, Object.fromEntries(changed.map((it) => [it.key, typed(it)])));
    for (const it of changed) {
      const found = diff.find((entry) => entry.key === it.key);
      if (found) it.value = found.new;
      it.input.value = written(it.value);
    }
    const lines = diff.map((entry) => make("li", {}, make("code", {}, entry.key), ` ${written(entry.old)} → ${written(entry.new)}: ${entry.open_connections}`));
    told.replaceChildren(make("p", {}, diff.length ? "In force until the file is read again." : "That is what it was already."), make("ul", {}, ...lines));
  } catch (error) {
    const rest = (error.errors ?? []).filter((wrong) => !place(rows, wrong));
    const lines = rest.map((wrong) => make("li", {}, `${wrong.key}: ${wrong.reason}; ${wrong.remedy}`));
    told.replaceChildren(make("p", { class: "fault" }, `Nothing was changed: ${error.message}`), make("ul", {}, ...lines));
  }
}

/** Says beside its setting what is wrong; whether there is such a setting. */
function place(rows, wrong) {
  const it = rows.find((entry) => entry.key === wrong.key.split(".").at(-1));
  if (!it) return false;
  say(it.wrong, `${wrong.reason}: ${wrong.remedy}`);
  it.wrong.hidden = false;
  mark(it.input, "aria-invalid", "true");
  return true;
}

/** One line of what will change. */
function change(key, old, now) {
  return make("li", {}, make("code", {}, key), make("del", {}, old || "none"), make("ins", {}, plain(now) || "none"));
}
