// Elements of the page. Text is only ever text: nothing here reads markup.

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** A new element: attributes, properties that begin with ".", listeners that begin with "@", children. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("@")) element.addEventListener(key.slice(1), value);
    else if (key.startsWith(".")) element[key.slice(1)] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text that a peer may have written: isolated, so that it reorders nothing beside it. */
export const foreign = (text, attributes = {}) => make("bdi", { dir: "ltr", ...attributes }, text);

/** Writes a text if it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it is another one. */
export function mark(element, name, value) {
  if (value === null || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Makes the children of `parent` those of `items`, in their order, and keeps those that stay. */
export function keyed(parent, items, keyOf, create, update) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (child) {
      known.delete(key);
    } else {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

/** Shows what is wrong, or nothing. */
export function fault(element, text) {
  element.hidden = !text;
  say(element, text || "");
}

/** Closes a dialog by its buttons and by a click beside it. */
export function closable(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
}
