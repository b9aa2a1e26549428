// Bailiwick's console: log in with a key, look around, ask. No build step, no outside script.
import { call, get, session, upload } from "./api.js";
import { askView, lineageView } from "./ask.js";
import { costsView } from "./costs.js";
import { el, failure, pill, table, tile } from "./dom.js";
import { policiesView } from "./policies.js";
import { reportsView } from "./reports.js";

const TREE_EVERY_MS = 1000;
const view = document.getElementById("view");
const fleetViews = [["overview", "House"], ["tenants", "Tenants"], ["policies", "Policies"], ["compliance", "Compliance"]];
const costs = ["costs", "Costs"];
const tenantViews = [["ask", "Ask"], ["documents", "Documents"], ["lineage", "Lineage"], ["usage", "Usage"]];
let timer = null;
let turn = 0;
let tenants = [];

// --- the live house ------------------------------------------------------------------------------------------------

async function overview() {
  const tree = el("div", { class: "house-tree", id: "actor-tree" });
  const tiles = el("div", { class: "tiles" });
  const refresh = async () => {
    try {
      const { actors } = await get("/admin/v1/actors");
      const names = new Map(tenants.map((tenant) => [tenant.id.replaceAll("-", "").slice(0, 12), tenant.name]));
      const boxes = new Map();
      for (const actor of actors) {
        const [root] = actor.address.split("/");
        if (!boxes.has(root)) boxes.set(root, []);
        boxes.get(root).push(actor);
      }
      const sum = (field) => actors.reduce((total, actor) => total + Number(actor[field] ?? 0), 0);
      tiles.replaceChildren(tile(tenants.length, "tenants"), tile(actors.length, "actors"), tile(sum("mailbox_depth"), "messages waiting"),
        tile([...boxes.values()].reduce((total, rooms) => total + Math.max(...rooms.map((room) => room.restarts)), 0), "restarts since boot"));
      const control = (root) => (names.has(root) ? 1 : 0); // the rooms that govern come first
      const sorted = [...boxes].sort(([one], [other]) => control(one) - control(other) || (names.get(one) ?? "").localeCompare(names.get(other) ?? ""));
      tree.replaceChildren(...sorted.map(([root, rooms]) => el("section", { class: "card tenant-box" },
        el("h3", {}, names.get(root) ?? "control plane", pill(rooms[0].state)),
        rooms.map((room) => el("div", { class: "room", title: room.address },
          el("span", {}, room.kind), el("span", { class: "depth" }, `${room.mailbox_depth} waiting · ${room.restarts}↻`), pill(room.state),
          el("span", { class: "address mono" }, room.address),
          room.last_fault ? el("span", { class: "fault" }, room.last_fault) : null)))));
    } catch (error) {
      tree.replaceChildren(failure(error));
    }
  };
  await refresh();
  timer = setInterval(refresh, TREE_EVERY_MS);
  return [el("h2", {}, "The house, live"), tiles, tree];
}

async function tenantsView() {
  await loadTenants();
  const act = (tenant, verb, body) => el("button", { class: "ghost", type: "button", onclick: async () => {
    try { await call("POST", `/admin/v1/tenants/${tenant.name}/${verb}`, body); await route(); } catch (error) { view.prepend(failure(error)); }
  } }, verb);
  const rows = tenants.map((tenant) => [
    el("b", {}, tenant.name), pill(tenant.state), tenant.plan, tenant.config.region, (tenant.metadata.compliance ?? []).join(", ") || "–", `policy ${tenant.policy_version}`,
    tenant.state === "serving" ? act(tenant, "suspend", { reason: "suspended from the console" }) : act(tenant, "resume")]);
  return [el("h2", {}, "Tenants"), el("div", { class: "card" }, table(["Name", "State", "Plan", "Region", "Compliance", "Policy", ""], rows))];
}

// --- one tenant ----------------------------------------------------------------------------------------------------

async function documents() {
  const status = el("p", { class: "quiet", role: "status" });
  const picker = el("input", { type: "file", multiple: true, accept: ".txt,.md,.html,.pdf,.docx", "aria-label": "Files", onchange: async () => {
    status.textContent = "sending…";
    try {
      const done = await upload(picker.files);
      const failed = done.filter((document) => document.state === "failed");
      status.textContent = `${done.length - failed.length} taken, ${failed.length} failed${failed.length ? `: ${failed.map((document) => document.error).join("; ")}` : ""}`;
      setTimeout(route, 1200);
    } catch (error) { status.replaceChildren(failure(error)); }
  } });
  const { documents: found } = await get("/v1/documents?limit=200");
  const rows = found.map((document) => [el("div", {}, el("b", {}, document.title), el("div", { class: "quiet mono" }, document.id)), pill(document.state),
    document.source, `${document.domain}/${document.usecase}`, document.chunks, document.trust_score.toFixed(2)]);
  return [el("h2", {}, "Documents"), el("div", { class: "card" }, picker, status), el("div", { class: "card" }, table(["Document", "State", "Source", "Domain", "Chunks", "Trust"], rows))];
}

async function usage() {
  const figures = await get("/v1/usage");
  const { budget, counts, latency, corpus } = figures;
  return [el("h2", {}, "Usage"), el("div", { class: "tiles" },
    tile(`${budget.spent_day} / ${budget.limit_day}`, "USD spent today"), tile(`${budget.spent_month} / ${budget.limit_month}`, "USD spent this month"), tile(budget.held, "USD held now"),
    tile(counts.answered, "answers"), tile(counts.abstained, "abstentions"), tile(counts.refused, "refusals"), tile(counts.failed, "failures"),
    tile(`${latency.p50_ms} / ${latency.p95_ms} ms`, "p50 / p95 latency"), tile(corpus.documents, "documents"))];
}

// --- routing and session -------------------------------------------------------------------------------------------

const views = { overview, tenants: tenantsView, ask: async () => askView(), documents, lineage: lineageView, usage, costs: costsView, policies: policiesView, compliance: reportsView };

async function route() {
  const mine = ++turn;
  clearInterval(timer);
  const [, name = session.fleet ? "overview" : "ask", argument] = location.hash.split("/");
  for (const link of document.querySelectorAll("#nav a")) link.toggleAttribute("aria-current", link.hash === `#/${name}`);
  try {
    const shown = await (views[name] ?? views.ask)(argument);
    if (mine === turn) view.replaceChildren(...shown); // a slow view must not cover the one that was chosen after it
  } catch (error) {
    if (mine === turn) view.replaceChildren(failure(error));
  }
}

async function loadTenants() {
  ({ tenants } = await get("/admin/v1/tenants"));
  const select = document.getElementById("tenant");
  select.replaceChildren(...tenants.map((tenant) => el("option", { value: tenant.name, selected: tenant.name === session.tenant }, tenant.name)));
  session.tenant ??= tenants[0]?.name ?? null;
}

async function enter() {
  session.fleet = true;
  try { await loadTenants(); } catch (error) {
    if (error.status !== 403) throw error;
    session.fleet = false;
    await get("/v1/usage");
  }
  document.getElementById("tenant").hidden = !session.fleet;
  document.getElementById("role").textContent = session.fleet ? "operator" : "tenant key";
  document.getElementById("nav").replaceChildren(...(session.fleet ? [...fleetViews, costs, ...tenantViews] : [...tenantViews, costs]).map(([name, words]) => el("a", { href: `#/${name}` }, words)));
  document.getElementById("login").hidden = true;
  document.getElementById("house").hidden = false;
  await route();
}

document.getElementById("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  session.enter(document.getElementById("key").value.trim());
  try { await enter(); } catch (error) {
    session.leave();
    document.getElementById("login-error").textContent = error.message;
  }
});
document.getElementById("leave").addEventListener("click", () => { session.leave(); location.reload(); });
document.getElementById("tenant").addEventListener("change", (event) => { session.tenant = event.target.value; route(); });
addEventListener("hashchange", route);
if (session.key) enter().catch(() => session.leave());
