// Figures and foreign text as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A count: 15,000. */
export const count = (n) => (n === null || n === undefined ? "–" : whole.format(n));

/** A rate: one decimal while it is small. */
export const rate = (n) => (n === null || n === undefined ? "–" : n > 0 && n < 100 ? short.format(n) : whole.format(n));

/** A short time: three digits and a unit. */
export function ms(n) {
  if (n === null || n === undefined) return "–";
  if (n === 0) return "0 ms";
  if (n < 1) return `${n.toFixed(2)} ms`;
  if (n < 10) return `${n.toFixed(1)} ms`;
  if (n < 1000) return `${n.toFixed(0)} ms`;
  return `${(n / 1000).toFixed(n < 10000 ? 2 : 1)} s`;
}

/** A long time: its two largest units. */
export function time(n) {
  const s = Math.floor(n / 1000);
  if (s < 1) return `${Math.round(n)} ms`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** An amount: 1.2 MiB. */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit += 1;
  }
  return `${unit === 0 || n >= 100 ? whole.format(n) : short.format(n)} ${units[unit]}`;
}

/** The time of day. */
export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

/** One thing, or many of it. */
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

// Control characters, separators of lines, and marks that reorder what stands around them.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** What a peer sent: no character in it steers anything, and none is invisible. */
export function plain(text, most = 300) {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return cut.replace(UNSAFE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A setting as it is written in the file. */
export function written(value) {
  if (Array.isArray(value)) return value.map(written).join(", ");
  return value === null || value === undefined ? "off" : String(value);
}
