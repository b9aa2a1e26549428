// Releases of one tenant: how far the newest is on its way, what its files would do, and which came before.
import { call, get } from "./api.js";
import { el, failure, pill, table, tile } from "./dom.js";

const words = (next) => (typeof next === "string" ? next.replaceAll("_", " ")
  : Object.entries(next).map(([what, why]) => `${what.replaceAll("_", " ")}: ${typeof why === "string" ? why.replaceAll("_", " ") : words(why)}`).join(", "));

const rate = ({ requests, failures }) => (requests ? `${failures} of ${requests} failed` : "nothing asked yet");

// A button that calls a route, shows what it says, and then has the page drawn anew.
const act = (label, said, doing, redraw) => el("button", { class: "ghost", type: "button", onclick: async () => {
  try { said.replaceChildren(await doing()); if (redraw) dispatchEvent(new Event("hashchange")); } catch (error) { said.replaceChildren(failure(error)); }
} }, label);

function onItsWay(id, rollout, said) {
  const steer = (verb) => async () => { await call("POST", `/admin/v1/policies/${id}/${verb}`); return el("p", {}, "done"); };
  const goesOn = rollout.next?.hold !== undefined;
  return [el("div", { class: "tiles" }, tile(`${rollout.percent} %`, "of the conversations"), tile(rate(rollout.canary), "the release"), tile(rate(rollout.control), "the one before")),
    el("p", {}, words(rollout.next)),
    goesOn ? el("div", { class: "row" }, act("Give it to everybody", said, steer("promote"), true), act("Send it back", said, steer("rollback"), true)) : null];
}

async function rehearsed(id) {
  const { recorded, golden } = await get(`/admin/v1/policies/${id}/rehearsal`);
  const lost = golden.examples.map(({ question, document }) => [pill("lost"), question, document]);
  const other = recorded.examples.map(({ action, request, after }) => [pill(action), el("code", { class: "mono" }, JSON.stringify(request)), JSON.stringify(after)]);
  return el("div", {},
    el("p", {}, `Of the last ${recorded.requests} requests that were answered, ${recorded.refused} would be refused and ${recorded.withheld} withheld. ${golden.questions} golden questions find ${golden.found_after} documents with an answer, instead of ${golden.found_before}.`),
    lost.length + other.length ? table(["", "Request", "Comes to"], [...lost, ...other]) : null);
}

export async function releasesOf(tenant) {
  const id = encodeURIComponent(tenant);
  const [{ rollout }, { releases }, slo] = await Promise.all([get(`/admin/v1/policies/${id}/rollout`), get(`/admin/v1/policies/${id}/releases`), get(`/admin/v1/tenants/${id}/slo`)]);
  const said = el("div", { id: "rehearsal" });
  const rows = releases.toReversed().map(({ committed_at, version, rehearsal }) => [committed_at, version,
    rehearsal ? `${rehearsal.refused + rehearsal.withheld} of ${rehearsal.requests} refused or withheld, ${rehearsal.golden_found_after} of ${rehearsal.golden_found_before} golden documents` : "–"]);
  return [el("h3", {}, "Releases"),
    slo.releases.frozen ? el("p", { id: "frozen" }, pill("frozen"), ` The error budget is used up since ${slo.releases.frozen_since}: nothing new is released.`) : null,
    el("div", { class: "card", id: "rollout" }, rollout ? onItsWay(id, rollout, said) : el("p", { class: "quiet" }, "Everybody has the newest release.")),
    el("div", { class: "card", id: "releases" }, act("Rehearse the folder's newest files", said, () => rehearsed(id)), said, table(["When", "Version", "Rehearsal"], rows))];
}
