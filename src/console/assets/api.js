// The console's one way out: the public routes, with the visitor's key.
const KEY = "bailiwick.key";

export const session = {
  get key() { return sessionStorage.getItem(KEY) ?? ""; },
  enter(key) { sessionStorage.setItem(KEY, key); },
  leave() { sessionStorage.removeItem(KEY); },
  fleet: false,
  tenant: null,
};

function headers(more = {}) {
  const all = { authorization: `Bearer ${session.key}`, ...more };
  if (session.fleet && session.tenant) all["x-bailiwick-tenant"] = session.tenant;
  return all;
}

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? `the server answered ${status}`);
    this.status = status;
    this.code = body?.code ?? "unknown";
  }
}

export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: headers(body === undefined ? {} : { "content-type": "application/json" }),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let parsed = null;
  try { parsed = text ? JSON.parse(text) : null; } catch { parsed = null; }
  if (!response.ok) throw new Problem(response.status, parsed);
  return parsed;
}

export const get = (path) => call("GET", path);

// Saves what a route answers as a file. The key goes in a header, so a plain link would not do.
export async function download(path, name) {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

export async function upload(files) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const response = await fetch("/v1/documents", { method: "POST", headers: headers(), body: form });
  const body = await response.json().catch(() => null);
  if (!response.ok && !body?.documents) throw new Problem(response.status, body);
  return body.documents;
}

// Server-sent events over POST: yields {event, data}.
export async function* stream(path, body, signal) {
  const response = await fetch(path, { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body), signal });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      const block = buffer.slice(0, end);
      buffer = buffer.slice(end + 2);
      const event = /^event: (.*)$/m.exec(block)?.[1] ?? "message";
      const data = [...block.matchAll(/^data: (.*)$/gm)].map((match) => match[1]).join("\n");
      if (data) yield { event, data: JSON.parse(data) };
    }
  }
}
