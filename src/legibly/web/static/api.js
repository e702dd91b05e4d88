// The HTTP API. Requests are retried if the server is busy or the connection was lost.
import { say } from "./dom.js";

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const sleep = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), {
      once: true,
    });
  });

async function problem(response) {
  let text = "";
  try {
    const body = await response.json();
    text = body.detail || body.title || "";
  } catch {
    /* a page of a proxy */
  }
  return new Problem(response.status, text || say("error_status", { status: response.status }));
}

/** A response with its body: a connection that is lost within the body is a lost connection. */
async function withBody(response) {
  const body = await response.arrayBuffer();
  return new Response(body.byteLength ? body : null, response);
}

/** Send a request, at most `tries` times if the server is busy (429, 503) or not reachable.
 * Throws Problem.
 * @param {string} path
 * @param {RequestInit & { tries?: number }} options */
export async function ask(path, { tries = 4, signal, ...options } = {}) {
  for (let attempt = 1; ; attempt++) {
    let response;
    try {
      response = await withBody(
        await fetch(path, { credentials: "same-origin", signal, ...options }),
      );
    } catch (error) {
      if (signal?.aborted || attempt >= tries)
        throw signal?.aborted ? error : new Problem(0, say("error_offline"));
      await sleep(Math.min(0.5 * 2 ** attempt, 8) * (0.75 + Math.random() / 2), signal);
      continue;
    }
    if (response.ok) return response;
    if (response.status === 401)
      location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    if (![429, 502, 503, 504].includes(response.status) || attempt >= tries)
      throw await problem(response);
    const seconds = Number(response.headers.get("Retry-After"));
    await sleep(seconds > 0 ? Math.min(seconds, 30) : Math.min(0.5 * 2 ** attempt, 8), signal);
  }
}

const json = async (path, options) => (await ask(path, options)).json();
const sending = (method, body) => ({
  method,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const image = (id) => json(`/api/images/${id}`);
export const images = (query = {}, signal) => {
  const values = Object.entries(query).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  return json(`/api/images?${new URLSearchParams(values)}`, { signal });
};

const LIGHT = 16_000; // characters; browsers let 64 kB of requests outlive their page

/** The body of a label; an empty text means that there is no digit. */
export const labelBody = (text) => (text === "" ? { text, nothing: true } : { text });
/**
 * Label an image; `boxes` are the places of the text's digits, `{ box, label }` each.
 * @param {string} id
 * @param {string | null} text
 * @param {{ tries?: number, boxes?: object[] }} [options]
 */
export function label(id, text, { tries = 4, boxes } = {}) {
  const request = sending("PUT", { ...labelBody(text), boxes });
  const keepalive = request.body.length < LIGHT; // it continues after the page is left
  return json(`/api/images/${id}/label`, { ...request, keepalive, tries });
}

const urlEncoded = (values) => ({ method: "POST", body: new URLSearchParams(values) });
/** Delete images; returns `{ count, undo, seconds }`, where `undo` is a token for `restore`. */
export const removeAll = (ids) => json("/history/delete", urlEncoded({ ids: ids.join(" ") }));
export const restore = (token) => json("/history/restore", urlEncoded({ token }));

/** Read a picture without storing it; with `explain`, also explain the answer for that item.
 * @param {Blob} blob
 * @param {{ explain?: number, signal?: AbortSignal, tries?: number }} options */
export function preview(blob, { explain, signal, tries = 1 } = {}) {
  const query = explain === undefined ? "" : `?explain=${explain}`;
  const headers = { "Content-Type": blob.type };
  return json(`/api/preview${query}`, { method: "POST", headers, body: blob, signal, tries });
}

/** A name for one upload; `crypto.randomUUID` exists only with TLS or on this machine. */
export const fresh = () =>
  [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");

/** Upload a picture, and wait up to `wait` seconds for its reading. The same `once` is the same
 * image. With `keepalive` a small upload continues after the page is left.
 * @param {Blob} blob
 * @param {{ name?: string, wait?: number, label?: string, writer?: string, batch?: string,
 *   tries?: number, signal?: AbortSignal, keepalive?: boolean, once?: string }} options */
export function send(
  blob,
  {
    name = "picture.png",
    wait = 0,
    label: truth,
    writer,
    batch,
    tries = 8,
    signal,
    keepalive = false,
    once = fresh(),
  } = {},
) {
  const fields = new FormData();
  if (truth) fields.set("label", truth);
  if (writer) fields.set("writer", writer);
  if (batch) fields.set("batch", batch);
  fields.set("file", blob, name);
  return json(`/api/images${wait ? `?wait=${wait}` : ""}`, {
    method: "POST",
    headers: { "Idempotency-Key": once },
    body: fields,
    tries,
    signal,
    keepalive,
  });
}

/** Open a batch with the caller's id; repeating it returns the same batch. */
export const openBatch = ({ id, name }) =>
  json("/api/batches", { ...sending("POST", { id, name }), tries: Infinity });

const formPath = (name) => `/api/forms/${encodeURIComponent(name)}`;
export const form = (name) => json(formPath(name));
export const removeForm = (name) => ask(formPath(name), { method: "DELETE" });
/** Store a new form, or change its version `version`. */
export function storeForm(name, document, version) {
  const request = sending("PUT", document);
  const headers = version ? { ...request.headers, "If-Match": `"${version}"` } : request.headers;
  return json(formPath(name), { ...request, headers, tries: 1 });
}

/** Promote a model, roll it back, or put it on trial. */
export const changeModel = (name, change, body) =>
  json(`/api/models/${encodeURIComponent(name)}/${change}`, {
    ...sending("POST", body),
    tries: 1,
  });

/** Direct uploads into the store: get the address, and report that the picture is there. */
export const announce = (facts) => json("/api/uploads", sending("POST", facts));
export const arrived = (id) => json(`/api/uploads/${id}`, { method: "POST", tries: Infinity });

export const picture = (id, size) => `/images/${id}/picture?size=${size}`;
export const input = (id, item) => `/api/images/${id}/items/${item}/input.png`;
export const why = (id, item) => json(`/images/${id}/items/${item}/why`, { tries: 1 });
export const explanation = (id, item) => `/api/images/${id}/items/${item}/explanation.png`;
