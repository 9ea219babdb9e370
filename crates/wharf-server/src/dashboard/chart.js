// Curves of the last ten minutes. The newest sample is at the right edge.

const SVG = "http://www.w3.org/2000/svg";

/** How many samples a curve has room for. */
export const SAMPLES = 120;

function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** An empty chart with so many curves; the first one's area is filled. */
export function chart(curves = 1, name = "spark") {
  const element = svg("svg", { class: name, viewBox: "0 0 119 100", preserveAspectRatio: "none", role: "img" });
  element.append(svg("path", { class: "area" }));
  for (let n = 0; n < curves; n += 1) element.append(svg("path", { class: `curve curve-${n}` }));
  return element;
}

/** Draws columns of numbers into a chart, all to one scale; `least` is the smallest full height. */
export function draw(element, columns, least, label) {
  const shown = columns.map((column) => column.slice(-SAMPLES));
  const top = Math.max(least, ...shown.flat().filter((n) => n !== null)) * 1.05;
  const [area, ...curves] = element.children;
  // Where nothing has happened a line says less than none.
  const line = (column, closed) => (column?.some((n) => n > 0) ? path(column, top, closed) : "");
  curves.forEach((curve, n) => curve.setAttribute("d", line(shown[n], false)));
  area.setAttribute("d", line(shown[0], true));
  element.setAttribute("aria-label", label);
}

function path(column, top, closed) {
  const offset = SAMPLES - column.length;
  let text = "";
  let begun = null;
  const end = () => (closed && begun !== null ? `V100H${begun}Z` : "");
  column.forEach((value, n) => {
    const x = offset + n;
    if (value === null) {
      text += end();
      begun = null;
    } else {
      const y = (100 - (value / top) * 100).toFixed(1);
      text += begun === null ? `M${x} ${y}` : `L${x} ${y}`;
      begun ??= x;
    }
  });
  return text + end();
}

/** The largest number of a column, 0 of none. */
export const most = (column) => Math.max(0, ...column.slice(-SAMPLES).filter((n) => n !== null));

/** The columns added up, sample by sample. */
export function sum(columns) {
  const length = Math.max(0, ...columns.map((column) => column.length));
  return Array.from({ length }, (_, n) => columns.reduce((all, column) => all + (column[n] ?? 0), 0));
}
