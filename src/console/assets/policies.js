// Policies: the conflict map over all tenants, or one tenant's rules, conflicts and history.
import { get, session } from "./api.js";
import { el, pill, table } from "./dom.js";
import { approvalsOf } from "./approvals.js";
import { releasesOf } from "./releases.js";

const refuses = (kind) => !["weaker_than_guardrail", "redundant"].includes(kind);
const example = (conflict) => (conflict.example ? el("code", { class: "mono" }, `${conflict.actions[0]} ${JSON.stringify(conflict.example)}`) : null);

function conflictRows(conflicts) {
  return conflicts.found.map((conflict) => [
    pill(refuses(conflict.kind) ? "conflict" : "warning"), conflict.kind.replaceAll("_", " "), el("b", {}, conflict.rule), conflict.with ?? "–",
    conflict.actions.join(", "), el("div", {}, conflict.problem, el("div", { class: "quiet" }, example(conflict)))]);
}

const conflictTable = (conflicts) => (conflicts.found.length
  ? table(["", "Kind", "Rule", "With", "Actions", "What to do"], conflictRows(conflicts))
  : el("p", { class: "quiet" }, "No conflict."));

async function map() {
  const { tenants } = await get("/admin/v1/conflicts");
  const rows = tenants.map(({ tenant, policy_version, conflicts, refused }) => [
    el("a", { href: `#/policies/${encodeURIComponent(tenant)}` }, tenant), policy_version || "–", pill(refused ? "drift" : "in force"),
    conflicts.found.length + conflicts.more, refused ?? ""]);
  return [el("h2", {}, "Policies"), el("div", { class: "card", id: "conflict-map" }, table(["Tenant", "Version", "Files", "Conflicts", "Why the newest files are not in force"], rows))];
}

const condition = (rule) => (rule.when ? el("code", { class: "mono" }, JSON.stringify(rule.when)) : "always");

async function one(tenant) {
  const id = encodeURIComponent(tenant);
  const [policy, { conflicts }, { commits }, releases, approvals] = await Promise.all([
    get(`/admin/v1/tenants/${id}/policies`), get(`/admin/v1/policies/${id}/conflicts`), get(`/admin/v1/policies/${id}/log`), releasesOf(tenant), approvalsOf(tenant)]);
  const rules = policy.rules.map((rule) => [el("b", {}, rule.id), pill(rule.effect), rule.actions.join(", "), condition(rule), (rule.overrides ?? []).join(", ") || "–", rule.reason ?? ""]);
  const history = commits.toReversed().map((commit) => [commit.committed_at, commit.version, commit.signed_by.join(", ")]);
  return [el("h2", {}, `Policy of ${tenant}, ${policy.policy_version}`),
    el("div", { class: "card", id: "rules" }, table(["Rule", "Effect", "Actions", "When", "Overrides", "Reason"], rules)),
    el("h3", {}, "Conflicts"), el("div", { class: "card", id: "conflicts" }, conflictTable(conflicts)),
    ...approvals,
    ...releases,
    el("h3", {}, "Came into force"), el("div", { class: "card", id: "commits" }, table(["When", "Version", "Signed by"], history))];
}

export async function policiesView(tenant) {
  return session.fleet && !tenant ? map() : one(tenant ? decodeURIComponent(tenant) : session.tenant);
}
