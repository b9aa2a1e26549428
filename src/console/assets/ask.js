// The ask box: words as they come, markers that lead to their sources, the lineage of the answer.
import { get, stream } from "./api.js";
import { el, failure, pill } from "./dom.js";

export function askView() {
  const question = el("textarea", { id: "question", name: "question", rows: 2, required: true, maxlength: 10000, placeholder: "Ask this tenant's documents…", "aria-label": "Question" });
  const send = el("button", { type: "submit" }, "Ask");
  const result = el("div", { id: "result" });
  let running = null;
  const form = el("form", { class: "card", onsubmit: async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    running = new AbortController();
    send.textContent = "Stop";
    try { await run(question.value, result, running.signal); } finally { running = null; send.textContent = "Ask"; }
  } }, el("div", { class: "ask-row" }, question, send));
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
  });
  queueMicrotask(() => question.focus());
  return [el("h2", {}, "Ask"), form, result];
}

async function run(question, result, signal) {
  const answer = el("div", { class: "answer waiting", id: "answer", "aria-live": "polite" });
  const details = el("div", {});
  result.replaceChildren(el("div", { class: "card" }, answer, details));
  let text = "";
  try {
    for await (const { event, data } of stream("/v1/ask", { question, stream: true }, signal)) {
      if (event === "delta") answer.textContent = text += data.text;
      if (event === "error") throw Object.assign(new Error(data.detail), { code: data.code });
      if (event === "done") { show(answer, details, data); return; }
    }
  } catch (error) {
    details.replaceChildren(error.name === "AbortError" ? el("p", { class: "quiet" }, "Stopped. What was used so far is settled.") : failure(error));
  } finally {
    answer.classList.remove("waiting");
  }
}

function show(answer, details, data) {
  const light = (marker, on) => details.querySelectorAll(`[data-marker="${CSS.escape(marker)}"]`).forEach((node) => node.classList.toggle("lit", on));
  const parts = data.answer.split(/(\[\d+\])/).map((part) => /^\[\d+\]$/.test(part)
    ? el("button", { class: "marker", type: "button", title: "show the source",
        onmouseenter: () => light(part, true), onmouseleave: () => light(part, false),
        onclick: () => open(data.citations.find((citation) => citation.marker === part)) }, part)
    : part);
  answer.replaceChildren(...parts);
  const citations = data.citations.map((citation) => el("div", { class: "citation", "data-marker": citation.marker },
    el("button", { class: "marker", type: "button", onclick: () => open(citation) }, citation.marker),
    el("div", {}, el("b", {}, citation.title), " ", el("span", { class: "quiet" }, `${citation.source} · trust ${citation.trust_score}${citation.page ? ` · page ${citation.page}` : ""}`),
      el("blockquote", {}, citation.snippet))));
  const lineage = el("button", { class: "ghost", type: "button", id: "show-lineage", onclick: () => { location.hash = `#/lineage/${data.query_id}`; } }, "Lineage of this answer");
  details.replaceChildren(
    data.abstained ? el("p", { class: "quiet" }, `Abstained: ${data.reason}`) : el("div", { id: "citations" }, citations),
    el("div", { class: "facts" },
      pill(`${data.model.provider}/${data.model.name}${data.model.fallback ? " (fallback)" : ""}`), pill(`${data.usage.cost_usd} USD`),
      pill(`policy ${data.policy_version}`), el("span", { class: "pill mono", title: data.receipt }, `receipt ${data.receipt.slice(0, 22)}…`), lineage));
}

async function open(citation) {
  if (!citation) return;
  const body = document.getElementById("source-body");
  const dialog = document.getElementById("source");
  body.replaceChildren(el("h3", {}, citation.title), el("p", { class: "quiet" }, "loading…"));
  dialog.showModal();
  try {
    const shown = await get(`/v1/documents/${encodeURIComponent(citation.document_id)}`);
    const letters = [...(shown.text ?? "")];
    const slice = (from, to) => letters.slice(from, to).join("");
    const mark = el("mark", {}, slice(citation.start, citation.end));
    body.replaceChildren(el("h3", {}, citation.title), el("p", { class: "quiet" }, `${citation.source} · characters ${citation.start}–${citation.end}`),
      slice(0, citation.start), mark, slice(citation.end));
    mark.scrollIntoView({ block: "center" });
  } catch (error) {
    body.replaceChildren(el("h3", {}, citation.title), failure(error));
  }
}

export async function lineageView(queryId) {
  const input = el("input", { name: "query", value: queryId ?? "", placeholder: "query id", class: "mono", "aria-label": "Query id" });
  const form = el("form", { class: "card", onsubmit: (event) => { event.preventDefault(); location.hash = `#/lineage/${input.value.trim()}`; } },
    el("div", { class: "ask-row" }, input, el("button", { type: "submit" }, "Show")));
  if (!queryId) return [el("h2", {}, "Lineage"), form];
  try {
    const lineage = await get(`/v1/lineage?query_id=${encodeURIComponent(queryId)}`);
    const { record } = lineage;
    const steps = [
      ["Asked", `${record.question || record.kind} — by key ${record.key_id}${record.user_id ? `, user ${record.user_id}` : ""}`],
      ["Policy", `version ${record.policy_version}`],
      ["Model", `${record.model.provider}/${record.model.name}, region ${record.model.region || "–"}${record.model.fallback ? ", fallback" : ""}`],
      ["Answer", record.answer || (record.abstained ? "abstained" : "passed through")],
      ["Charge", `${record.usage.cost_usd} USD for ${record.usage.prompt_tokens} + ${record.usage.completion_tokens} tokens`],
      ["Journal", `record ${lineage.seq}, chain hash ${lineage.hash}`],
    ];
    return [el("h2", {}, "Lineage"), form,
      el("div", { class: "card chain", id: "lineage" }, steps.map(([name, words]) => el("div", {}, el("b", {}, name), el("div", {}, words)))),
      el("div", { class: "card" }, el("h3", {}, "Cited chunks"), ...chunks(lineage.lines))];
  } catch (error) {
    return [el("h2", {}, "Lineage"), form, failure(error)];
  }
}

function chunks(lines) {
  if (!lines.length) return [el("p", { class: "quiet" }, "none")];
  return lines.map((line) => el("div", { class: "citation" }, el("span", { class: "marker" }, line.trust_score.toFixed(2)),
    el("div", {}, el("b", {}, line.source_id), el("div", { class: "quiet mono" }, `${line.chunk_id} · ${line.domain}/${line.usecase} · ${line.agent_id} · ${line.timestamp}`))));
}

