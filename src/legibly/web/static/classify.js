// The page to draw, drop, paste, choose and photograph pictures; answers arrive live.
import * as api from "./api.js";
import { Card, shot } from "./card.js";
import { $, $$, debounce, make, onKey, say, toast } from "./dom.js";
import { keyAction } from "./keys.js";
import * as labelQueue from "./label_queue.js";
import { follow, newest } from "./live.js";
import { Sheet } from "./sheet.js";
import { queue } from "./uploads.js";
import { startFiles } from "./files.js";

const RECENT = 24;
const { owner } = document.body.dataset;
const classes = JSON.parse($("#classes").textContent);
const images = new Map(); // id → image as last received; `order` has the newest first
let order = [];
let labels = []; // ids, in the order of their labels
/** An image with the label that is being sent. */
const imageOf = (id) => labelQueue.withLabel(images.get(id));

/** The content of the card: the ink on the sheet, a drawing being sent, an image, or nothing. Keys
 * act on an image only if it was `chosen`: drawn, uploaded or selected on this page. */
let subject = { kind: "none", chosen: false };

const card = new Card($("#card"), { classes, onLabel: (_, text) => labelSubject(text) });

// The sheet
const automatic = $("#automatic");
automatic.checked = localStorage.getItem("legibly-automatic") !== "off";
automatic.addEventListener("change", () =>
  localStorage.setItem("legibly-automatic", automatic.checked ? "on" : "off"),
);

const sheet = new Sheet($("#pad"), {
  deliver: (entry) => queue.deliver(entry),
  isLive: () => automatic.checked,
  leaving: () => ({ owner }),
  onInk,
});

function onInk({ pad }) {
  $("#read").disabled = $("#clear").disabled = pad.empty;
  $("#undo").disabled = sheet.isFinished || !pad.canUndo;
  $("#redo").disabled = sheet.isFinished || !pad.canRedo;
  if (sheet.ink !== "empty") subject = { kind: "sheet", chosen: true };
  else if (subject.kind === "sheet") subject = { kind: "none", chosen: false };
  else return;
  draw();
}

/** A drawing in the form of an image, for the card. */
function pictured(reading, { label = null, note = "" } = {}) {
  if (!reading) return { id: "", state: "pending", reading: null, label: null, note };
  const { width, height, inputs, blob, url } = reading;
  const preview = { inputs, blob, url };
  return { id: "", state: "read", preview, width, height, reading: reading.reading, label, note };
}

/** The image on the card; null for none. */
function shown() {
  const { kind, drawing, id, upload } = subject;
  if (kind === "sheet") {
    const waits = sheet.reading || automatic.checked || sheet.problem;
    const note = sheet.problem || (waits ? "" : say("press_enter"));
    return pictured(sheet.reading, { note });
  }
  if (kind === "drawing") {
    const { text } = drawing;
    const label = text === undefined || text === null ? null : { text };
    return pictured(drawing.reading, { label, note: drawing.problem ?? "" });
  }
  if (kind === "upload") return { id: "", state: "pending", reading: null, label: null, upload };
  return imageOf(id) ?? null;
}

function draw() {
  const image = shown();
  $("#card").classList.toggle("of-sheet", ["sheet", "drawing"].includes(subject.kind));
  $("#card").classList.toggle("without-keys", !subject.chosen);
  if (image) card.show(image);
  else card.clear();
  recent();
}

/** Store the drawing on the sheet; its card becomes that of the stored image. */
function finish(text) {
  const drawing = sheet.finish(text);
  if (!drawing) return false;
  $("#read").disabled = true;
  $("#undo").disabled = $("#redo").disabled = true;
  subject = { kind: "drawing", drawing, chosen: true };
  $("#status").textContent = text === undefined ? say("reading") : say("noted", { text });
  draw();
  track(drawing);
  return true;
}

async function track(drawing) {
  const isShown = () => subject.kind === "drawing" && subject.drawing === drawing;
  const slow = setTimeout(() => {
    drawing.problem = say("not_sent");
    if (isShown()) draw();
  }, 8000);
  try {
    const image = await drawing.saved;
    const { once } = drawing;
    if (isShown()) subject = { kind: "image", id: image.id, chosen: true, once };
    take(image);
    if (drawing.text !== undefined) labels.push(image.id);
    accuracy();
    if (image.reading) announce(image);
  } catch (error) {
    toast(error.message);
  }
  clearTimeout(slow);
}

function announce({ reading }) {
  const text = reading.text || say(`verdict_${reading.verdict}`);
  $("#status").textContent = `${say("answer")}: ${text}`;
}

// Recent pictures and the card
function remember(image) {
  if (!images.has(image.id)) order = [image.id, ...order].sort().reverse().slice(0, 400);
  images.set(image.id, image);
}

const recent = debounce(() => {
  const list = $("#recent");
  const tiles = new Map($$("li", list).map((item) => [item.dataset.id, item]));
  const items = order.slice(0, RECENT).map((id) => {
    const image = imageOf(id);
    const isActive = subject.kind === "image" && subject.id === id;
    const stamp = `${image.state}${image.label?.text ?? "-"}${isActive}`;
    const old = tiles.get(id);
    if (old?.dataset.stamp === stamp) return old;
    const link = shot(image, { lazy: false });
    if (isActive) link.setAttribute("aria-current", "true");
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      choose(id);
    });
    return make("li", { "data-id": id, "data-stamp": stamp }, link);
  });
  list.replaceChildren(...items);
  $("#recent-empty").hidden = items.length > 0;
}, 30);

/** Store the drawing on the sheet, and clear the sheet. */
function leaveSheet() {
  if (!sheet.finish()) sheet.clear();
}

/** Show a chosen image; a drawing on the sheet is stored first. */
function choose(id) {
  if (subject.id !== id) leaveSheet();
  subject = { kind: "image", id, chosen: true };
  draw();
}

function drawImage(id) {
  if (subject.id === id) draw();
  else recent();
}

function take(image) {
  const before = images.get(image.id);
  if (before?.reading && !image.reading) return; // an older message that arrived after a newer one
  remember(image);
  queue.settle(image);
  const isIdle = subject.kind === "none" && sheet.ink === "empty" && image.state !== "pending";
  if (isIdle) subject = { kind: "image", id: image.id, chosen: false };
  drawImage(image.id);
  if ((before?.label?.text ?? null) !== (image.label?.text ?? null)) accuracy();
}

function drop(id) {
  images.delete(id);
  order = order.filter((other) => other !== id);
  if (subject.id === id) {
    subject = { kind: "none", chosen: false };
    draw();
  } else recent();
  accuracy();
}

async function catchUp() {
  try {
    const begun = performance.now();
    const page = await api.images({ limit: RECENT });
    newest(page.images, begun).forEach(take);
    if (subject.kind === "none" && order.length && sheet.ink === "empty") {
      subject = { kind: "image", id: order[0], chosen: false };
      draw();
    }
  } catch (error) {
    toast(error.message);
  }
  recent();
}

// Labels
/** Label the image on the card: "" means that there is no digit, null removes the label. */
function labelSubject(text) {
  if (subject.kind === "sheet") return finish(text ?? undefined);
  if (subject.kind === "drawing") return labelDrawing(subject.drawing, text);
  const image = images.get(subject.id);
  if (!image || image.state === "pending") return false;
  label(image.id, text);
  return true;
}

/** The drawing is being sent; its label follows. */
async function labelDrawing(drawing, text) {
  drawing.text = text;
  draw();
  try {
    const { id } = await drawing.saved;
    await label(id, text);
  } catch (error) {
    toast(error.message);
  }
}

async function label(id, text) {
  const sent = labelQueue.send(id, text === null ? null : { text });
  if (text !== null) labels.push(id);
  drawImage(id);
  try {
    take(await sent);
    $("#status").textContent = text === null ? say("taken_back") : say("noted", { text });
  } catch (error) {
    drawImage(id);
    toast(error.message);
  }
  accuracy();
}

function undoLabel() {
  if (subject.kind === "drawing" && (subject.drawing.text ?? null) !== null)
    return labelDrawing(subject.drawing, null);
  const current = imageOf(subject.id);
  const image = current?.label ? current : imageOf(labels.pop());
  if (!image?.label) return false;
  choose(image.id);
  label(image.id, null);
  return true;
}

const accuracy = debounce(async () => {
  try {
    const response = await api.ask("/accuracy/panel");
    $("#accuracy").innerHTML = await response.text(); // our own server's markup
  } catch {
    /* the next label asks again */
  }
}, 120);

// Buttons
// An example without a picture at hand: a 7 that draws itself.
const SAMPLE = [
  [0.3, 0.29],
  [0.42, 0.275],
  [0.55, 0.27],
  [0.69, 0.265],
  [0.655, 0.35],
  [0.6, 0.45],
  [0.54, 0.56],
  [0.485, 0.68],
  [0.44, 0.8],
];
$("#sample")?.addEventListener("click", () => {
  sheet.clear();
  sheet.pad.change([SAMPLE.map(([x, y]) => ({ x, y, p: 0.5 }))]);
  finish();
});
const undoStroke = () => sheet.undo();
const redoStroke = () => sheet.redo();
const clear = () => sheet.clear();
$("#read").addEventListener("click", () => finish());
$("#clear").addEventListener("click", clear);
$("#undo").addEventListener("click", undoStroke);
$("#redo").addEventListener("click", redoStroke);

// The pen
const pen = $("#pen");
pen.value = localStorage.getItem("legibly-pen") || pen.value;
const choosePen = () => (sheet.pad.width = Number(pen.value));
pen.addEventListener("change", () => {
  localStorage.setItem("legibly-pen", pen.value);
  choosePen();
});
choosePen();

// Files
startFiles({
  onAdd(entries) {
    leaveSheet();
    subject = { kind: entries.length === 1 ? "upload" : "none", chosen: entries.length === 1 };
    subject.upload = entries[0].name;
    draw();
  },
});
queue.addEventListener("sent", (/** @type {CustomEvent} */ { detail: { image, entry } }) => {
  if (subject.kind === "upload" && subject.upload === entry.name)
    subject = { kind: "image", id: image.id, chosen: true };
  take(image);
});
queue.addEventListener("read", (/** @type {CustomEvent} */ { detail }) => take(detail));

// Keys
function step(by) {
  const at = order.indexOf(subject.id);
  const next = order[Math.max(0, at + by)];
  if (next) choose(next);
  return Boolean(next);
}

const COMMANDS = {
  r: () => finish(),
  c: clear,
  z: undoStroke,
  y: redoStroke,
  u: undoLabel,
  o: () => $("#files").click(),
  arrowright: () => step(1),
  arrowleft: () => step(-1),
};

function act(key) {
  const image = subject.chosen ? shown() : null;
  const todo = keyAction(key, { ink: sheet.ink, shown: image, classes });
  if (todo?.action === "finish") return finish(todo.text);
  if (todo?.action === "label") return labelSubject(todo.text) !== false;
  return false;
}

onKey((event, command) => {
  const key = event.key.toLowerCase();
  if (command) {
    if (key === "z") (event.shiftKey ? redoStroke : undoStroke)();
    else if (key === "y") redoStroke();
    return key === "z" || key === "y";
  }
  if (event.repeat) return false;
  if (act(event.key)) return true;
  if (!(key in COMMANDS) || classes.includes(event.key)) return false;
  return COMMANDS[key]() !== false;
});

follow(take, catchUp, drop);
catchUp();
