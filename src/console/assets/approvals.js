// Requests of one tenant that need somebody's word: what is asked, by whom, and a word on those that wait.
import { call, get } from "./api.js";
import { el, failure, pill, table } from "./dom.js";

const decide = (path, approve, said) => el("button", { class: "ghost", type: "button", onclick: async () => {
  try { await call("POST", path, { approve }); dispatchEvent(new Event("hashchange")); } catch (error) { said.replaceChildren(failure(error)); }
} }, approve ? "Approve" : "Refuse");

export async function approvalsOf(tenant) {
  const id = encodeURIComponent(tenant);
  const { approvals } = await get(`/admin/v1/approvals/${id}`);
  const said = el("div", {});
  const rows = approvals.map((request) => {
    const path = `/admin/v1/approvals/${id}/${encodeURIComponent(request.id)}`;
    const words = request.state === "waiting" ? el("div", { class: "row" }, decide(path, true, said), decide(path, false, said)) : "";
    return [pill(request.state), request.action, el("div", {}, request.subject), request.user_id ?? request.asked_by, request.until, words];
  });
  return [el("h3", {}, "Requests that need an approval"),
    el("div", { class: "card", id: "approvals" }, said, rows.length ? table(["", "Action", "What is asked", "By", "Until", ""], rows) : el("p", { class: "quiet" }, "None waits."))];
}
