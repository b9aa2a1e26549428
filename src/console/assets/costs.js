// Costs: the fleet's for the operator, the tenant's own for everybody else. Money is added up as whole nano-dollars.
import { download, get, session } from "./api.js";
import { el, failure, table, tile } from "./dom.js";
import { bars, month, share, short } from "./plot.js";

const DAY_MS = 86_400_000;
const NANO = 1_000_000_000n;
const dimensions = { tenant: "Tenant", day: "Day", domain: "Domain", usecase: "Use case", user: "User", key: "Key", provider: "Provider", model: "Model" };
const ranges = [["month", "this month"], ["last", "last month"], ["7", "last 7 days"], ["30", "last 30 days"]];
const chosen = { range: "month", by: null };

const date = (ms) => new Date(ms).toISOString().slice(0, 10);

function nano(text) {
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole || "0") * NANO + BigInt(fraction.padEnd(9, "0"));
}

const number = (text) => Number(nano(text)) / Number(NANO); // for drawing only

function usd(amount) {
  const fraction = String(amount % NANO).padStart(9, "0").replace(/0+$/, "");
  return fraction ? `${amount / NANO}.${fraction}` : String(amount / NANO);
}

// First and last day (UTC) of what was chosen.
function days() {
  const now = new Date(), first = (months) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1);
  if (chosen.range === "month") return [date(first(0)), date(now)];
  if (chosen.range === "last") return [date(first(-1)), date(first(0) - DAY_MS)];
  return [date(now - (Number(chosen.range) - 1) * DAY_MS), date(now)];
}

function every(from, to) {
  const all = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) all.push(date(at));
  return all;
}

const isFleet = (tenant) => session.fleet && !tenant;

function path(tenant, query) {
  const said = new URLSearchParams(query).toString();
  if (isFleet(tenant)) return `/admin/v1/costs?${said}`;
  return tenant ? `/admin/v1/tenants/${encodeURIComponent(tenant)}/costs?${said}` : `/v1/usage?${said}`;
}

async function read(tenant, query) {
  const answer = await get(path(tenant, query));
  return answer.costs ?? answer;
}

export async function costsView(tenant) {
  const name = tenant ? decodeURIComponent(tenant) : null;
  const choices = Object.keys(dimensions).filter((dimension) => isFleet(name) || dimension !== "tenant");
  const by = choices.includes(chosen.by) ? chosen.by : choices.includes("tenant") ? "tenant" : "model";
  const [from, to] = days();
  const [first] = [date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), 1))];
  const costs = await read(name, { from, to, group_by: by });
  const models = by === "model" ? costs : await read(name, { from, to, group_by: "model" });
  const whole = from === first && to === date(Date.now()) ? costs : await read(name, { from: first, to: date(Date.now()), group_by: "model" });
  const title = isFleet(name) ? "Costs of the fleet" : name ? `Costs of ${name}` : "Costs";
  return [
    el("div", { class: "bar-of-choices" }, el("h2", {}, title), chooser("range", "Days", ranges, chosen.range),
      chooser("by", "By", choices.map((dimension) => [dimension, dimensions[dimension]]), by), saving(name, { from, to, group_by: by })),
    missing(costs.missing),
    tiles(costs, whole),
    el("div", { class: "plots" },
      el("figure", { class: "card", id: "costs-month" }, el("figcaption", {}, el("h3", {}, "This month"), el("p", { class: "quiet" }, told(whole.forecast))), monthPlot(whole)),
      el("figure", { class: "card", id: "costs-days" }, el("figcaption", {}, el("h3", {}, "By day"), el("p", { class: "quiet" }, `${from} to ${to}, UTC`)), dayPlot(costs, from, to))),
    el("div", { class: "plots" },
      el("div", { class: by === "tenant" ? "card whole" : "card", id: "costs-rows" }, el("h3", {}, `By ${dimensions[by].toLowerCase()}`), ranking(costs.rows, by, isFleet(name) && by === "tenant" ? costs.tenants : [])),
      by === "model" ? null : el("div", { class: "card", id: "costs-models" }, el("h3", {}, "By model"), ranking(models.rows, "model", []))),
  ].filter(Boolean);
}

function chooser(which, words, options, value) {
  const select = el("select", { id: `costs-${which}`, "aria-label": words, onchange: () => {
    chosen[which] = select.value;
    dispatchEvent(new HashChangeEvent("hashchange"));
  } }, options.map(([name, text]) => el("option", { value: name, selected: name === value }, which === "by" ? `by ${text.toLowerCase()}` : text)));
  return select;
}

function saving(tenant, query) {
  const status = el("span", { class: "error", role: "status" });
  const save = (words, where, file) => el("button", { class: "ghost", type: "button", onclick: async () => {
    status.textContent = "";
    try { await download(where, file); } catch (error) { status.replaceChildren(failure(error)); }
  } }, words);
  return el("span", { class: "saving" }, save("CSV", path(tenant, { ...query, format: "csv" }), "costs.csv"),
    isFleet(tenant) ? save("FOCUS", `/admin/v1/costs/export?from=${query.from}&to=${query.to}`, "focus.csv") : null, status);
}

function missing(tenants) {
  if (!tenants?.length) return null;
  return el("p", { class: "card warning", role: "status" }, `Not in these figures: ${tenants.map((one) => `${one.tenant} (${one.reason})`).join(", ")}.`);
}

function tiles(costs, whole) {
  const { total } = costs, { forecast } = whole;
  return el("div", { class: "tiles" },
    tile(total.cost_usd, "USD in these days"), tile(total.turns.toLocaleString("en"), "turns"),
    tile((total.prompt_tokens + total.completion_tokens).toLocaleString("en"), "tokens"),
    tile(`${short(number(forecast.spent_usd))} / ${short(number(forecast.limit_usd))}`, "USD spent this month, of its ceiling"),
    tile(forecast.outlook === "known" ? short(number(forecast.expected_usd)) : "–", "USD expected at the month's end"));
}

// The forecast in words.
function told(forecast) {
  if (forecast.outlook !== "known") return `No forecast yet: ${forecast.reason}.`;
  const reached = forecast.limit_reached_at
    ? `The ceiling is reached on ${forecast.limit_reached_at.slice(0, 16).replace("T", " at ")} UTC at this pace.`
    : "The ceiling is not reached at this pace.";
  return `Expected: ${short(number(forecast.expected_usd))} USD (${short(number(forecast.low_usd))} to ${short(number(forecast.high_usd))}), from ${forecast.days_looked_back} days${forecast.by_weekday ? ", by weekday" : ""}. ${reached}`;
}

function monthPlot({ by_day, forecast }) {
  const ends = Date.parse(forecast.window_ends_at);
  const first = Date.UTC(new Date(ends - DAY_MS).getUTCFullYear(), new Date(ends - DAY_MS).getUTCMonth(), 1);
  const all = every(date(first), date(ends - DAY_MS));
  const today = Math.min((Date.now() - first) / DAY_MS, all.length);
  const of_day = new Map(by_day.map((day) => [day.day, nano(day.cost_usd)]));
  let sum = 0n;
  const spent = all.slice(0, Math.ceil(today)).map((day) => Number(sum += of_day.get(day) ?? 0n) / Number(NANO));
  const known = forecast.outlook === "known";
  const outlook = known ? { expected: number(forecast.expected_usd), low: number(forecast.low_usd), high: number(forecast.high_usd) } : null;
  return month(`Spent this month: ${forecast.spent_usd} USD. ${told(forecast)}`, { days: all, spent, today, outlook, limit: number(forecast.limit_usd) });
}

function dayPlot({ by_day, total }, from, to) {
  const of_day = new Map(by_day.map((day) => [day.day, day.cost_usd]));
  const all = every(from, to).map((day) => ({ day, text: of_day.get(day) ?? "0", usd: number(of_day.get(day) ?? "0") }));
  const rows = all.filter((day) => of_day.has(day.day)).map((day) => [day.day, day.text]);
  return el("div", {}, bars(`Costs by day from ${from} to ${to}: ${total.cost_usd} USD`, all),
    el("details", {}, el("summary", {}, "as a table"), table(["Day", "USD"], rows)));
}

function ranking(rows, by, outlooks) {
  if (!rows.length) return el("p", { class: "quiet" }, "Nothing was asked in these days.");
  const expected = new Map(outlooks.map((one) => [one.tenant, one]));
  const sorted = [...rows].sort((one, other) => by === "day" ? one.day.localeCompare(other.day) : Number(nano(other.cost_usd) - nano(one.cost_usd)) || one[by].localeCompare(other[by]));
  const highest = sorted.reduce((most, row) => nano(row.cost_usd) > most ? nano(row.cost_usd) : most, 0n);
  const label = (row) => by === "tenant" ? el("a", { href: `#/costs/${encodeURIComponent(row.tenant)}` }, row.tenant) : row[by];
  const outlook = (row) => {
    const one = expected.get(row[by]);
    return one?.outlook === "known" ? `${short(number(one.expected_usd))} of ${short(number(one.limit_usd))}` : "–";
  };
  const columns = [dimensions[by], "", "USD", "Turns", "Tokens", ...(outlooks.length ? ["Month's end"] : [])];
  return table(columns, sorted.map((row) => [label(row), share(highest ? Number(nano(row.cost_usd) * 1000n / highest) / 1000 : 0),
    el("span", { class: "figure" }, usd(nano(row.cost_usd))), el("span", { class: "figure" }, row.turns.toLocaleString("en")),
    el("span", { class: "figure" }, (row.prompt_tokens + row.completion_tokens).toLocaleString("en")), ...(outlooks.length ? [outlook(row)] : [])]));
}
