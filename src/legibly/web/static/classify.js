// The page to write, drop, paste, choose and photograph on; answers arrive by themselves.
import * as api from "./api.js";
import { Card, shot } from "./card.js";
import { $, $$, debounce, make, number, onKey, say, toast } from "./dom.js";
import { follow } from "./live.js";
import { Pad } from "./pad.js";
import { Queue, dropped, pictures } from "./queue.js";

const RECENT = 24;
const classes = JSON.parse($("#classes").textContent);
const known = new Map(); // id → image, newest first in `order`
let order = [],
  active = null,
  mine = null,
  labelled = [];

const card = new Card($("#card"), { classes, onLabel: label });
const rate = JSON.parse($("#rate").textContent);
card.asks = new Set(); // of the random sample: their labels are asked for, and counted as such

async function draw(image) {
  if (
    !image.label &&
    image.reading &&
    (await api.asked(image.id, rate)) &&
    !card.asks.has(image.id)
  ) {
    card.asks.add(image.id);
    if (image.id === active) card.draw();
  }
}

// Recent pictures and the one on the card
function remember(image) {
  if (!known.has(image.id)) order = [image.id, ...order].sort().reverse().slice(0, 400);
  known.set(image.id, image);
}

const recent = debounce(() => {
  const list = $("#recent");
  const shown = new Map($$("li", list).map((item) => [item.dataset.id, item]));
  const items = order.slice(0, RECENT).map((id) => {
    const image = known.get(id),
      stamp = `${image.state}${image.label?.text ?? ""}${id === active}`;
    const old = shown.get(id);
    if (old?.dataset.stamp === stamp) return old;
    const link = shot(image, { lazy: false });
    if (id === active) link.setAttribute("aria-current", "true");
    link.addEventListener(
      "click",
      (event) => !event.ctrlKey && !event.metaKey && (event.preventDefault(), show(id)),
    );
    return make("li", { "data-id": id, "data-stamp": stamp }, link);
  });
  list.replaceChildren(...items);
  $("#recent-empty").hidden = items.length > 0;
}, 30);

function show(id) {
  active = id;
  card.show(known.get(id));
  recent();
}

function take(image) {
  const before = known.get(image.id);
  draw(image);
  if (before?.reading && !image.reading) return; // an older message that overtook a newer one
  remember(image);
  queue.heard(image);
  if (image.id === mine || image.id === active || (active === null && image.state !== "pending"))
    show(image.id);
  else recent();
  if ((before?.label?.text ?? null) !== (image.label?.text ?? null)) accuracy();
}

async function catchUp() {
  try {
    const page = await api.images({ limit: RECENT });
    page.images.forEach(take);
    if (active === null && order.length) show(order[0]);
  } catch (error) {
    toast(error.message);
  }
  recent();
}

// Labels
async function label(image, text) {
  if (image.state === "pending") return;
  const before = image.label;
  const optimistic = {
    ...image,
    label: text === null ? null : { text, at: new Date().toISOString(), source: "volunteered" },
  };
  known.set(image.id, optimistic);
  if (active === image.id) card.show(optimistic);
  recent();
  if (text !== null) labelled.push(image.id);
  try {
    take(await api.label(image.id, text, card.asks.has(image.id) ? "asked" : "volunteered"));
    $("#status").textContent = text === null ? say("taken_back") : say("noted", { text });
  } catch (error) {
    known.set(image.id, { ...image, label: before });
    if (active === image.id) card.show(known.get(image.id));
    toast(error.message);
  }
  accuracy();
}

function undo() {
  const image = known.get(active)?.label ? known.get(active) : known.get(labelled.pop());
  if (!image?.label) return false;
  show(image.id);
  label(image, null);
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

// Writing
const sheet = $("#pad"),
  automatic = $("#automatic");
let sheets = [],
  pause = null,
  sent = true;
automatic.checked = localStorage.getItem("legibly-automatic") !== "off";
automatic.addEventListener("change", () =>
  localStorage.setItem("legibly-automatic", automatic.checked ? "on" : "off"),
);

const pad = new Pad($("canvas", sheet), {
  onStroke(down) {
    clearTimeout(pause);
    sheet.classList.remove("counting");
    $(".hint", sheet).hidden = true;
    if (down && sent && !pad.empty) fresh();
    if (!down && automatic.checked) {
      sheet.classList.add("counting");
      pause = setTimeout(read, 1000);
    }
  },
  onChange() {
    sent = pad.empty;
    sheet.classList.toggle("sent", false);
    $(".hint", sheet).hidden = !pad.empty;
    $("#read").disabled = $("#clear").disabled = pad.empty;
    $("#undo").disabled = pad.empty && sheets.length === 0;
  },
});

function fresh() {
  sheets.push(pad.strokes);
  pad.strokes = [];
  pad.redraw();
  sheet.classList.remove("sent");
}

// A first step for who has nothing at hand: a 7 that writes itself.
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
  pad.set([SAMPLE.map(([x, y]) => ({ x, y, p: 0.5 }))]);
  read();
});

async function read() {
  clearTimeout(pause);
  sheet.classList.remove("counting");
  if (pad.empty || sent) return;
  sent = true;
  sheet.classList.add("sent");
  $("#read").disabled = true;
  $("#status").textContent = say("reading");
  try {
    const image = await api.send(await pad.png(), { name: say("drawing"), wait: 10 });
    mine = image.id;
    take(image);
    show(image.id);
    if (image.reading)
      $("#status").textContent =
        `${say("answer")}: ${image.reading.text || say(`verdict_${image.reading.verdict}`)}`;
  } catch (error) {
    sent = false;
    sheet.classList.remove("sent");
    $("#read").disabled = false;
    toast(error.message, { action: say("try_again"), run: read });
  }
}

function clear() {
  clearTimeout(pause);
  sheet.classList.remove("counting");
  if (!pad.empty) sheets.push(pad.strokes);
  pad.set([]);
}

function undoStroke() {
  clearTimeout(pause);
  sheet.classList.remove("counting");
  if (pad.empty) pad.set(sheets.pop() ?? []);
  else pad.undo();
}
$("#read").addEventListener("click", read);
$("#clear").addEventListener("click", clear);
$("#undo").addEventListener("click", undoStroke);

// Files
function bar(queue) {
  $("#queue progress").value =
    2 * (queue.sent + queue.failed.length) - queue.pending.size + queue.share;
}
const queue = new Queue({
  direct: $("#queue").dataset.direct && import("./presigned.js"),
  onShare: bar,
  owner: $("#queue").dataset.owner,
  onSent: take,
  onChange: (queue) => {
    const box = $("#queue"),
      read = queue.sent - queue.pending.size;
    box.hidden = queue.total === 0;
    const settled = !queue.busy && queue.pending.size === 0;
    $("progress", box).max = queue.total * 2 || 1;
    bar(queue);
    $("p", box).textContent = say(settled ? "queue_done" : "queue", {
      sent: number(queue.sent),
      total: number(queue.total),
      read: number(read),
    });
    $("button", box).hidden = !queue.failed.some(({ entry }) => entry);
    $("ul", box).replaceChildren(
      ...queue.failed.map(({ name, why }) => make("li", {}, make("b", {}, name), ` ${why}`)),
    );
    document.title = settled
      ? document.title.replace(/^\(.*?\) /, "")
      : `(${read}/${queue.total}) ${document.title.replace(/^\(.*?\) /, "")}`;
    clearInterval(queue.checking);
    if (queue.pending.size) queue.checking = setInterval(() => ask(queue), 4000);
  },
});

$("#queue button").addEventListener("click", () => queue.again());

/** The events are the quick way; asking is the sure one. */
async function ask(queue) {
  for (const id of [...queue.pending].slice(0, 20)) {
    try {
      take(await api.image(id));
    } catch (error) {
      if (error.status === 404) queue.heard({ id, state: "failed" });
    }
  }
}

function add(files) {
  if (!files.length) return toast(say("no_pictures"));
  if (files.length === 1) active = null;
  queue.add(files);
}
for (const field of $$("input[type=file]")) {
  field.addEventListener("change", () => {
    add(field.webkitdirectory ? pictures(field.files) : [...field.files]);
    field.value = "";
  });
}
let depth = 0;
const carries = (event) => event.dataTransfer?.types.includes("Files");
addEventListener(
  "dragenter",
  (event) => carries(event) && (depth++, document.body.classList.add("dropping")),
);
addEventListener(
  "dragleave",
  (event) =>
    carries(event) && --depth <= 0 && ((depth = 0), document.body.classList.remove("dropping")),
);
addEventListener("dragover", (event) => carries(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dropping");
  add(await dropped(event.dataTransfer));
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) (event.preventDefault(), add(files));
});

// Keys
function step(by) {
  const next = order[Math.max(0, order.indexOf(active) + by)];
  if (next) show(next);
  return Boolean(next);
}
onKey((event, command) => {
  const image = known.get(active);
  if (command) return event.key === "z" && (undoStroke(), true);
  const { key } = event;
  if (key === "Enter")
    return sent
      ? image?.reading?.text && !image.label && (label(image, image.reading.text), true)
      : (read(), true);
  if (classes.includes(key)) return image && image.state !== "pending" && (label(image, key), true);
  if (key === "ArrowRight" || key === "ArrowLeft") return step(key === "ArrowRight" ? 1 : -1);
  const run = { r: read, c: clear, z: undoStroke, u: undo, o: () => $("#files").click() }[
    key.toLowerCase()
  ];
  return run && run() !== false;
});

follow(take, catchUp);
catchUp();
