// Plots by hand: SVG with a name for every mark, so that what is drawn can also be read.
const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 600, HEIGHT = 240, LEFT = 56, RIGHT = 16, TOP = 16, BOTTOM = 28;

function mark(tag, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) element.setAttribute(name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const named = (words) => mark("title", {}, words);

function frame(words, ...marks) {
  return mark("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words }, named(words), marks);
}

// A round number at or above the highest value, and the four lines up to it.
function scale(highest) {
  const power = 10 ** Math.floor(Math.log10(highest || 1));
  const top = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= highest) ?? 10 * power;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const lines = [0, 1, 2, 3, 4].map((quarter) => (top * quarter) / 4);
  return { y, axis: lines.map((value) => [
    mark("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    mark("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, short(value))]) };
}

export const short = (usd) => (usd === 0 ? "0" : usd >= 1 ? usd.toLocaleString("en", { maximumFractionDigits: 2 }) : usd.toPrecision(2).replace(/0+$/, "").replace(/e-0*/, "e-"));

function dates(labels, x) {
  const every = Math.max(1, Math.ceil(labels.length / 8));
  return labels.map((label, at) => (at % every ? null : mark("text", { class: "tick", x: x(at), y: HEIGHT - 8, "text-anchor": "middle" }, label.slice(5))));
}

// One bar a day.
export function bars(words, days) {
  const { y, axis } = scale(Math.max(...days.map((day) => day.usd), 0));
  const step = (WIDTH - LEFT - RIGHT) / Math.max(days.length, 1);
  const x = (at) => LEFT + step * (at + 0.5);
  const width = Math.min(step * 0.7, 40);
  return frame(words, axis, dates(days.map((day) => day.day), x), days.map((day, at) =>
    mark("rect", { class: "bar", x: x(at) - width / 2, width, y: y(day.usd), height: Math.max(y(0) - y(day.usd), day.usd > 0 ? 1.5 : 0), rx: 2 }, named(`${day.day}: ${day.text} USD`))));
}

// Money spent since the month began, where it is heading, and its ceiling.
export function month(words, { days, spent, today, outlook, limit }) {
  const known = outlook !== null;
  const highest = Math.max(spent.at(-1) ?? 0, known ? outlook.high : 0);
  const limited = limit <= highest * 4; // a ceiling far above would flatten everything below it
  const { y, axis } = scale(Math.max(highest, limited ? limit : 0));
  const x = (at) => LEFT + ((WIDTH - LEFT - RIGHT) * at) / days.length;
  const path = (points) => points.map(([at, value], number) => `${number ? "L" : "M"}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("");
  const so_far = [[0, 0], ...spent.map((value, at) => [Math.min(at + 1, today), value])];
  const [now, value] = so_far.at(-1);
  const end = days.length;
  return frame(words, axis, dates(days, (at) => x(at + 0.5)),
    known ? mark("path", { class: "band", d: `${path([[now, value], [end, outlook.high], [end, outlook.low]])}Z` }, named(`between ${short(outlook.low)} and ${short(outlook.high)} USD`)) : null,
    known ? mark("path", { class: "line ahead", d: path([[now, value], [end, outlook.expected]]) }, named(`expected: ${short(outlook.expected)} USD`)) : null,
    limited ? [mark("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: y(limit), y2: y(limit) }, named(`ceiling: ${short(limit)} USD`)),
      mark("text", { class: "tick limit-name", x: LEFT + 6, y: y(limit) - 5 }, `ceiling ${short(limit)}`)] : null,
    mark("path", { class: "line", d: path(so_far) }, named(`spent so far: ${short(value)} USD`)),
    mark("circle", { class: "now", cx: x(now), cy: y(value), r: 4 }, named(`now: ${short(value)} USD`)));
}

// A share of the largest, as a bar in a row of a table.
export function share(part) {
  return mark("svg", { class: "share", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    mark("rect", { class: "bar", width: Math.max(part * 100, part > 0 ? 0.8 : 0), height: 8 }));
}
