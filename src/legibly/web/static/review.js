// Review: the next picture is always at hand already, so that a key press shows it at once.
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
const AHEAD = 8; // pictures that are at hand before their turn
const SKIPPED = `legibly-skipped-${document.body.dataset.owner}`;

/** What the address asks for: the images of a filter, or those that were selected in History. */
const address = new URLSearchParams(location.search);
const isSelection = address.has("selected");
const scope = {
  ids: isSelection ? JSON.parse(sessionStorage.getItem("legibly-review-ids") || "[]") : [],
  query: isSelection ? "" : address.toString(),
};
scope.begun = scope.ids.length || scope.query ? begun(location.search) : "";

/** When this review began, by its address: a reload goes on with what is left. */
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
let history = []; // entries that were judged or skipped on this page
let current = null;
let total = 0; // to look at, by the server, less what was judged since
let judgements = 0; // on this page, less those that were taken back
let news = 0; // labels and deletions by others
let filling = false;
let isComplete = false; // the queue holds everything that the server has
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

/** Fetch what comes next; skipped pictures come after all others, and come back. */
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
    count(); // nothing moves under somebody who is at work on a picture
  else show();
}

/** The queue, and how many judgements the server knew then; asked for again where somebody else has
 * labelled or deleted a picture meanwhile. */
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

/** Wait until nothing is unsaved; gives how many judgements that were. */
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
  if (queue.length >= AHEAD) preload(queue[AHEAD - 1]); // those before it are there already
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

/** Save one after the other, so that an undo never overtakes what it undoes. */
function save(entry, text) {
  const judgement = { entry, text };
  unsaved.add(judgement);
  const sent = saving.then(() => unsaved.delete(judgement) && send(entry, text));
  saving = sent.catch((error) => toast(error.message));
  return sent;
}

// Leaving the page does not wait: the last judgement of each picture that is unsaved goes now.
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

/** A judgement was not saved: its picture comes next, unless it was deleted. It never takes the
 * place of the one that somebody is looking at. */
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

/** Take a picture out of the queue, unless somebody is looking at it. */
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
    save(entry, null).catch(() => {}); // `save` has said it
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

/** Nobody has to reload an empty page to see what has come. */
const look = debounce(() => {
  if (queue.length === 0) filling ? look() : fill();
}, 300);

/** Nobody is asked about what somebody else has labelled, here or on another page, meanwhile. */
function take({ id, label }) {
  const isOwn = history.some((entry) => entry.image.id === id);
  const earlier = queue.find(({ image }) => image.id === id)?.image.label?.at;
  if (!isOwn && earlier !== label?.at) leaveOut(id);
  look();
}
follow(take, look, (id) => (leaveOut(id), look()));
fill();
