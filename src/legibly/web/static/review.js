// Review: the next picture is always at hand already, so that a key press shows it at once.
import * as api from "./api.js";
import { Card } from "./card.js";
import { $, number, onKey, say, toast } from "./dom.js";

const classes = JSON.parse($("#classes").textContent);
const card = new Card($("#card"), {
  classes,
  onLabel: (image, text) => (text === null ? back() : judge(text)),
});
const AHEAD = 8; // pictures that are at hand before their turn
let queue = [],
  seen = [],
  shown,
  filling = false,
  dry = false,
  saving = Promise.resolve();
const skipped = new Set(),
  waiting = new Set();

const preload = ({ image }) => {
  for (const source of [
    api.picture(image.id, 640),
    ...(image.reading?.items.length ? [api.input(image.id, 0)] : []),
  ])
    new Image().src = source;
};

async function fill() {
  if (filling) return;
  filling = true;
  await saving;
  try {
    const found = await (await api.ask("/api/review?limit=50")).json();
    const known = new Set([...queue, ...seen].map((entry) => entry.image.id));
    const fresh = found.queue.filter(({ image }) => !known.has(image.id) && !skipped.has(image.id));
    queue.push(...fresh);
    queue.slice(0, AHEAD).forEach(preload);
    dry = fresh.length === 0;
  } catch (error) {
    toast(error.message);
  }
  filling = false;
  if (shown && queue[0] === shown)
    count(); // whoever is at work on a picture shall not see it drawn anew
  else show();
}

const count = () =>
  ($("#left").textContent = queue.length ? say("to_review", { count: number(queue.length) }) : "");

function show() {
  const entry = (shown = queue[0]);
  for (const name of ["#card", "#actions", "#reason"]) $(name).hidden = !entry;
  $("#empty").hidden = Boolean(entry);
  count();
  $("#back").disabled = seen.length === 0;
  if (!entry) $("#reason").textContent = "";
  if (!entry) return;
  const { image, reason } = entry;
  const said = entry.said.map(({ text, name }) => `${text} (${name})`).join(", ");
  $("#reason").textContent = say(`reason_${reason}`, { label: image.label?.text ?? "", said });
  $("#keep").hidden = reason !== "disagreement";
  card.show({ ...image, label: null });
  // those before it were, when their turn came
  if (queue.length >= AHEAD) preload(queue[AHEAD - 1]);
}

function step(entry) {
  seen.push(entry);
  queue.shift();
  show();
  if (queue.length === 0 || (queue.length < 3 * AHEAD && !dry)) fill();
}

const tell = ({ image }, text) =>
  api.ask(`/api/review/${image.id}`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text }),
    keepalive: true,
  });

/** What is saved is saved one after the other, so that an undo never overtakes what it undoes. */
function save(entry, text) {
  const word = { entry, text };
  waiting.add(word);
  const told = saving.then(() => waiting.delete(word) && tell(entry, text));
  saving = told.catch((error) => toast(error.message));
  return told;
}

// Whoever leaves does not wait: the last word on each picture that is not on its way yet goes now.
addEventListener("pagehide", () => {
  const last = new Map([...waiting].map(({ entry, text }) => [entry, text]));
  waiting.clear();
  for (const [entry, text] of last) tell(entry, text).catch(() => {});
});

function judge(text) {
  const entry = queue[0];
  if (!entry) return;
  step(entry);
  entry.given = true;
  save(entry, text).catch(() => {
    seen = seen.filter((other) => other !== entry);
    queue.unshift(entry);
    show();
  });
}

function skip() {
  if (!queue[0]) return;
  skipped.add(queue[0].image.id);
  step(queue[0]);
}

function back() {
  const entry = seen.pop();
  if (!entry) return;
  skipped.delete(entry.image.id);
  queue.unshift(entry);
  show();
  if (entry.given) save(entry, null).catch(() => {}); // told by `save`
  entry.given = false;
}

const keep = () => queue[0]?.reason === "disagreement" && judge(queue[0].image.label.text);
$("#skip").addEventListener("click", skip);
$("#back").addEventListener("click", back);
$("#keep").addEventListener("click", keep);
onKey((event, command) => {
  if (command) return false;
  const { key } = event,
    image = queue[0]?.image;
  if (key === "Enter") return image?.reading?.text && (judge(image.reading.text), true);
  if (classes.includes(key)) return image && (judge(key), true);
  const run = { s: skip, u: back, l: keep, ArrowRight: skip, ArrowLeft: back }[
    key.length === 1 ? key.toLowerCase() : key
  ];
  return run && (run(), true);
});
$("#import").addEventListener("change", async (event) => {
  const form = new FormData();
  form.set("file", event.target.files[0]);
  event.target.value = "";
  try {
    const counts = await (
      await api.ask("/review/label-studio", { method: "POST", body: form })
    ).json();
    $("#imported").textContent = say("imported", counts);
    fill();
  } catch (error) {
    $("#imported").textContent = error.message;
  }
});
fill();
