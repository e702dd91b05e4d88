// Review: the next picture is always loaded, so that a key press shows it at once.
import * as api from "./api.js";
import { Card, labelText } from "./card.js";
import { $, debounce, number, onKey, say, toast } from "./dom.js";
import { labelOf } from "./keys.js";
import { follow } from "./live.js";

const classes = JSON.parse($("#classes").textContent);
const card = new Card($("#card"), {
  classes,
  onLabel: (image, text) => (text === null ? back() : judge(text)),
});
const AHEAD = 8; // pictures loaded in advance
const SKIPPED = `legibly-skipped-${document.body.dataset.owner}`;

/** The queue of the address: the images of a filter, or those selected in History. */
const address = new URLSearchParams(location.search);
const isSelection = address.has("selected");
const scope = {
  ids: isSelection ? JSON.parse(sessionStorage.getItem("legibly-review-ids") || "[]") : [],
  query: isSelection ? "" : address.toString(),
};
scope.begun = scope.ids.length || scope.query ? begun(location.search) : "";

/** The start of this review, from its address: a reload continues with the rest. */
function begun(key) {
  const begins = JSON.parse(sessionStorage.getItem("legibly-review-begun") || "{}");
  const ids = scope.ids.join(" ");
  if (begins.key !== key || begins.ids !== ids) {
    Object.assign(begins, { key, ids, at: new Date().toISOString() });
    sessionStorage.setItem("legibly-review-begun", JSON.stringify(begins));
  }
  return begins.at;
}

let queue = [];
let history = []; // entries judged or skipped on this page
let current = null;
let total = 0; // remaining according to the server, minus later judgements
let judgements = 0; // on this page, without undone ones
let news = 0; // labels and deletions by others
let filling = false;
let isComplete = false; // the queue has all entries of the server
/** @type {Promise<unknown>} */
let saving = Promise.resolve();
let skipped = JSON.parse(localStorage.getItem(SKIPPED) || "[]"); // ids, the oldest skip first
const unsaved = new Set();

const preload = ({ image }) => {
  const sources = [api.picture(image.id, 640)];
  if (image.reading?.items.length) sources.push(api.input(image.id, 0));
  for (const source of sources) new Image().src = source;
};

function setSkipped(ids) {
  skipped = ids;
  localStorage.setItem(SKIPPED, JSON.stringify(ids));
}

/** Fetch the next entries; skipped pictures return after all others. */
async function fill() {
  if (filling) return;
  filling = true;
  show();
  try {
    const { page, known } = await fetchQueue();
    const judged = history.filter((entry) => entry.isJudged);
    const waiting = new Set([...queue, ...judged].map((entry) => entry.image.id));
    const fresh = page.queue.filter(({ image }) => !waiting.has(image.id));
    queue.push(...fresh);
    queue.slice(0, AHEAD).forEach(preload);
    total = Math.max(0, page.total - (judgements - known));
    isComplete = fresh.length === 0;
  } catch (error) {
    toast(error.message, { action: say("try_again"), run: fill });
  }
  filling = false;
  if (current && queue[0] === current)
    count(); // do not replace a picture that is being judged
  else show();
}

/** The queue, and the number of judgements that the server knew then; requested again if somebody
 * else labelled or deleted a picture in the meantime. */
async function fetchQueue(tries = 3) {
  const known = await saved();
  const before = news;
  const response = await api.ask("/api/review/queue", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ skipped, limit: 50, ...scope }),
  });
  const page = await response.json();
  return before === news || tries === 1 ? { page, known } : fetchQueue(tries - 1);
}

/** Wait until everything is saved; returns the number of judgements. */
async function saved() {
  for (;;) {
    const before = judgements;
    await saving;
    if (before === judgements) return before;
  }
}

function count() {
  const left = Math.max(total, queue.length);
  $("#left").textContent = left ? say("to_review", { count: number(left) }) : "";
}

function show() {
  const entry = queue[0] ?? null;
  if (entry && entry === current) return count();
  current = entry;
  for (const name of ["#card", "#actions"]) $(name).hidden = !entry;
  $("#empty").hidden = Boolean(entry) || filling || total > 0;
  $("#back").disabled = history.length === 0;
  count();
  if (!entry) {
    $("#reason").textContent = filling ? say("loading") : "";
    return;
  }
  const { image, reason } = entry;
  const said = entry.said.map(({ text, name }) => `${text || "∅"} (${name})`).join(", ");
  const label = image.label ? labelText(image.label) : "";
  $("#reason").textContent = say(`reason_${reason}`, { label, said });
  $("#keep").hidden = reason !== "disagreement";
  card.show({ ...image, label: null });
  if (queue.length >= AHEAD) preload(queue[AHEAD - 1]); // earlier ones are loaded
}

function step(entry) {
  history.push(entry);
  queue.shift();
  const isLow = queue.length < 3 * AHEAD && !isComplete;
  if (queue.length === 0 || isLow) fill();
  show();
}

const send = ({ image }, text) =>
  api.ask(`/api/review/${image.id}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(api.labelBody(text)),
    keepalive: true,
  });

/** Save in order, so that an undo never arrives before its judgement. */
function save(entry, text) {
  const judgement = { entry, text };
  unsaved.add(judgement);
  const sent = saving.then(() => unsaved.delete(judgement) && send(entry, text));
  saving = sent.catch((error) => toast(error.message));
  return sent;
}

// Leaving the page does not wait, so the last unsaved judgement of each picture is sent now.
addEventListener("pagehide", () => {
  const last = new Map([...unsaved].map(({ entry, text }) => [entry, text]));
  unsaved.clear();
  for (const [entry, text] of last) send(entry, text).catch(() => {});
});

function judge(text) {
  const entry = queue[0];
  if (!entry) return;
  entry.isJudged = true;
  judgements++;
  total = Math.max(0, total - 1);
  setSkipped(skipped.filter((id) => id !== entry.image.id));
  const isSaved = save(entry, text);
  step(entry);
  isSaved.catch((error) => notSaved(entry, error));
}

/** A judgement was not saved: its picture comes next, unless it was deleted. It never replaces the
 * picture on the page. */
function notSaved(entry, { status }) {
  history = history.filter((other) => other !== entry);
  entry.isJudged = false;
  judgements--;
  if (status !== 404) {
    total++;
    queue.splice(queue[0] === current ? 1 : 0, 0, entry);
  }
  show();
}

/** Remove a picture from the queue, unless the page shows it. */
function leaveOut(id) {
  news++;
  const before = queue.length;
  queue = queue.filter((entry) => entry === current || entry.image.id !== id);
  if (queue.length === before) return;
  total = Math.max(0, total - 1);
  isComplete = false; // it may still need a second person
  count();
}

function skip() {
  const entry = queue[0];
  if (!entry) return;
  const { id } = entry.image;
  setSkipped([...skipped.filter((other) => other !== id), id]);
  step(entry);
}

function back() {
  const entry = history.pop();
  if (!entry) return;
  const { id } = entry.image;
  setSkipped(skipped.filter((other) => other !== id));
  queue = [entry, ...queue.filter((other) => other.image.id !== id)];
  if (entry.isJudged) {
    judgements--;
    total++;
    save(entry, null).catch(() => {}); // `save` has reported it
  }
  entry.isJudged = false;
  show();
}

const keep = () => queue[0]?.reason === "disagreement" && judge(queue[0].image.label.text);
$("#skip").addEventListener("click", skip);
$("#back").addEventListener("click", back);
$("#keep").addEventListener("click", keep);

const COMMANDS = { s: skip, u: back, l: keep, arrowright: skip, arrowleft: back };
onKey((event, command) => {
  if (command || event.repeat) return false;
  const image = queue[0]?.image;
  const text = labelOf(event.key, classes);
  const run = COMMANDS[event.key.toLowerCase()];
  if (event.key === "Enter" && image?.reading?.text) judge(image.reading.text);
  else if (text !== undefined && image) judge(text);
  else if (run) run();
  else return false;
  return true;
});

$("#import").addEventListener("change", async (event) => {
  const form = new FormData();
  const file = event.target.files[0];
  const path = /\.csv$/i.test(file.name) ? "/review/labels" : "/review/label-studio";
  form.set("file", file);
  event.target.value = "";
  try {
    const options = { method: "POST", body: form };
    const counts = await (await api.ask(path, options)).json();
    $("#imported").textContent = say("imported", counts);
    fill();
  } catch (error) {
    $("#imported").textContent = error.message;
  }
});

/** Fill an empty page when new pictures arrive. */
const look = debounce(() => {
  if (queue.length === 0) filling ? look() : fill();
}, 300);

/** Drop pictures that have been labelled elsewhere in the meantime. */
function take({ id, label }) {
  const isOwn = history.some((entry) => entry.image.id === id);
  const earlier = queue.find(({ image }) => image.id === id)?.image.label?.at;
  if (!isOwn && earlier !== label?.at) leaveOut(id);
  look();
}
follow(take, look, (id) => (leaveOut(id), look()));
fill();
