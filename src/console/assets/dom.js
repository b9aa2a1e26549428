// Elements from data. Text is always set as text: what a document says can never become markup.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const pill = (word) => el("span", { class: `pill ${word ?? ""}` }, word ?? "–");
export const tile = (value, label) => el("div", { class: "card tile" }, el("b", {}, String(value)), el("span", {}, label));

export function table(columns, rows) {
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, columns.map((column) => el("th", {}, column)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));
}

export function failure(error) {
  return el("p", { class: "error", role: "alert" }, `${error.message}${error.code ? ` (${error.code})` : ""}`);
}
