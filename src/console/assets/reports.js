// Compliance: every tenant's score of the week and its drift for the operator, and one tenant's controls with their evidence.
import { download, get } from "./api.js";
import { el, failure, pill, table, tile } from "./dom.js";
import { share } from "./plot.js";

const perCent = (ppm) => `${(Math.floor(ppm / 1000) / 10).toFixed(1)} %`;
const minute = (time) => time.slice(0, 16).replace("T", " ");

async function fleet() {
  const [{ tenants }, drift] = await Promise.all([get("/admin/v1/reports"), get("/admin/v1/drift")]);
  const rows = tenants.map(({ tenant, last }) => {
    const { drift_score, quality_trend } = drift.tenants[tenant] ?? {};
    return [el("a", { href: `#/compliance/${encodeURIComponent(tenant)}` }, tenant), last?.week ?? "not reported yet", last ? share(last.score_ppm / 1e6) : "",
      last ? perCent(last.score_ppm) : "–", last ? `${last.passed} of ${last.passed + last.failed + last.unknown}` : "–", drift_score ?? "–", quality_trend ?? "unknown"];
  });
  return [el("h2", {}, "Compliance"), el("div", { class: "card", id: "compliance-fleet" },
    table(["Tenant", "Week", "", "Score", "Controls passed", "Drift", "Quality"], rows))];
}

function told({ says, value, source, observed_at, fresh_until, is_fresh }) {
  const shown = Array.isArray(value) ? value.join(", ") || "none" : value === "" ? "none" : value ?? "unknown";
  return el("li", {}, `${says}: `, el("b", {}, String(shown)), el("span", { class: "quiet" },
    observed_at ? ` (${source}, ${minute(observed_at)}, ${is_fresh ? "fresh until" : "outdated since"} ${minute(fresh_until)})` : " (nobody has told)"));
}

async function one(tenant) {
  const path = `/admin/v1/tenants/${encodeURIComponent(tenant)}/reports/compliance`;
  const report = await get(path);
  const said = el("span", { class: "error", role: "status" });
  const save = el("button", { class: "ghost", type: "button", onclick: async () => {
    try { await download(`${path}?format=pdf`, `compliance-${tenant}.pdf`); } catch (error) { said.replaceChildren(failure(error)); }
  } }, "Save as PDF");
  const frameworks = report.frameworks.map(({ framework, title, score_ppm }) => [el("b", {}, framework), title, share(score_ppm / 1e6), perCent(score_ppm)]);
  const controls = report.controls.map((control) => [pill(control.outcome), el("div", {}, el("b", {}, control.title), el("div", { class: "quiet" }, control.checks)),
    el("div", {}, control.why, control.to_do ? el("div", { class: "quiet" }, `To do: ${control.to_do}`) : null,
      el("details", {}, el("summary", {}, "evidence"), el("ul", {}, control.evidence.map(told)))),
    control.supports.map(({ framework, clause }) => `${framework} ${clause}`).join(", ")]);
  return [el("div", { class: "bar-of-choices" }, el("h2", {}, `Compliance of ${tenant}, ${report.week}`), save, said),
    el("div", { class: "tiles" }, tile(perCent(report.score_ppm), "of the weight of all controls"), tile(report.passed, "passed"), tile(report.failed, "failed"), tile(report.unknown, "unknown: counts as failed")),
    el("p", { class: "quiet" }, report.meaning),
    frameworks.length ? el("div", { class: "card" }, table(["Framework", "", "", "Score"], frameworks)) : null,
    el("div", { class: "card", id: "controls" }, table(["", "Control", "Why", "Supports"], controls))].filter(Boolean);
}

export async function reportsView(tenant) {
  return tenant ? one(decodeURIComponent(tenant)) : fleet();
}
