// One picture on its own page: looked at closely, corrected item by item, and left for the previous
// or the next one of the list that it was opened from.
import * as api from "./api.js";
import { Card } from "./card.js";
import * as deletion from "./deletion.js";
import { $, make, onKey, say, toast } from "./dom.js";
import { boxesOf, corrected, inserted, labelBoxes, placesOf } from "./items.js";
import { labelOf } from "./keys.js";
import * as labels from "./label_queue.js";
import { follow } from "./live.js";
import { listOf } from "./places.js";
import { Viewer } from "./viewer.js";

const classes = JSON.parse($("#classes").textContent);
let image = JSON.parse($("#image").textContent);
const isSeveral = () => boxes().length > 1;
/** The text that a correction starts from: the label of a person, or the reading. */
const base = () => image.label?.text ?? image.reading?.text ?? "";
const boxes = () => boxesOf(image);
let chosen = -1; // the box that somebody chose

let missing = null; // the box of a digit that was overlooked

const card = new Card($("#card"), {
  classes,
  withPicture: false,
  onLabel: (_, text) => label(text),
  onChoose: (at) =>
    choose(
      boxes().findIndex((box) => box.at === at),
      at,
    ),
});
const viewer = new Viewer($("#viewer"), {
  image,
  onChoose: (at) => choose(at),
  onPoint: (box) => {
    if (isReplacing) return replace(box);
    missing = box;
    return draw();
  },
});
let isReplacing = false; // the box that is drawn next is that of the chosen digit
const adder = make("button", { type: "button", "aria-pressed": "false" }, say("item_add"));
adder.addEventListener("click", () => point(!viewer.isPointing));
if (document.body.dataset.reads === "digits") viewer.tools.append(adder);

/** Show the place of a digit that was overlooked, or with `replacing` the box of the chosen one. */
function point(isPointing, { replacing = false } = {}) {
  viewer.isPointing = isPointing;
  isReplacing = isPointing && replacing;
  adder.setAttribute("aria-pressed", String(isPointing && !replacing));
  viewer.stage.classList.toggle("pointing", isPointing);
  missing = null;
  if (isPointing) toast(say(replacing ? "item_draw" : "item_point"));
  draw();
}

function draw() {
  card.show(image);
  viewer.show(image, boxes(), chosen);
  viewer.mark(missing);
  correction();
}

/** Choose a box; `item` is the number of its item in the reading. */
function choose(at, item = boxes()[at]?.at ?? -1) {
  chosen = at;
  if (item >= 0) card.state.chosen = item;
  viewer.centre(boxes()[at]);
  draw();
}

/** The row in which the chosen digit is corrected in place. */
function correction() {
  const place = $("#correction");
  if (missing) return showMissing(place);
  const box = boxes()[chosen];
  const isPossible =
    document.body.dataset.reads === "digits" &&
    box &&
    corrected(base(), boxes(), chosen, box.label) !== undefined;
  place.hidden = !isPossible;
  if (!isPossible) return;
  const button = (name, run) => make("button", { type: "button", onclick: run }, name);
  const read = image.reading?.items[box.at]?.label;
  const words = { number: chosen + 1, label: read };
  place.replaceChildren(
    make("p", { class: "quiet" }, say(read ? "item_is" : "item_added", words)),
    make(
      "div",
      { class: "digits", role: "group", "aria-label": say("item_was") },
      ...classes.map((name) => button(name, () => correct(name))),
    ),
    make(
      "div",
      { class: "row" },
      button(say("item_redraw"), () => point(true, { replacing: true })),
      button(say("item_remove"), () => correct("")),
    ),
  );
}

/** The row that shows what was overlooked. */
function showMissing(place) {
  const buttons = classes.map((name) =>
    make("button", { type: "button", onclick: () => add(name) }, name),
  );
  const group = { class: "digits", role: "group", "aria-label": say("item_missing") };
  place.hidden = false;
  place.replaceChildren(
    make("p", { class: "quiet" }, say("item_missing")),
    make("div", group, ...buttons),
  );
}

/** Add a digit that was overlooked to the label, with its box. */
function add(name) {
  const [x, y, width, height] = missing;
  const text = inserted(base(), boxes(), { x: x + width / 2, y: y + height / 2 }, name);
  if (text === undefined) {
    toast(say("item_unknown_place"));
    return false;
  }
  const added = { label: name, box: missing };
  const before = [...base()];
  const at = [...text].findIndex((sign, place) => sign !== before[place]);
  const rank = placesOf(text, [...boxes(), added]).indexOf(at);
  const all = [...boxes()];
  all.splice(rank, 0, added);
  point(false);
  label(text, all);
  return true;
}

/** Correct the chosen digit: the label is the text with this digit as another. */
function correct(name) {
  const text = corrected(base(), boxes(), chosen, name);
  if (text === undefined) return false;
  label(text, name === "" ? boxes().filter((_, other) => other !== chosen) : boxes());
  return true;
}

/** Give the chosen digit another box. */
function replace(box) {
  const all = boxes().map((other, at) => (at === chosen ? { ...other, box } : other));
  point(false);
  label(base(), all);
}

let stored = image; // as the server last told it

/** Label the image; `all` are the boxes of the label's text, where they are known. The page shows
 * the label at once, so that the next key starts from it however slow the line is. */
async function label(text, all = []) {
  const given = text && all.length ? labelBoxes(text, all) : undefined;
  const sent = labels.send(image.id, text === null ? null : { text, boxes: given });
  show(stored);
  try {
    stored = await sent;
    $("#status").textContent = text === null ? say("taken_back") : say("noted", { text });
  } catch (error) {
    toast(error.message);
  }
  show(stored);
}

/** Show the image in a new state, with the label that is on its way. */
function show(state) {
  image = labels.withLabel(state);
  if (chosen >= boxes().length) chosen = -1;
  draw();
}

// The list that this image was opened from
const list = listOf(image.id);
const addressOf = (id) => `/images/${id}`;
function neighbours() {
  if (!list) return;
  const { ids, back, at } = list;
  $("#back").href = `${back}#${image.id}`;
  $("#place").textContent = say("place_in_list", { number: at + 1, count: ids.length });
  for (const [name, id] of [
    ["#previous", ids[at - 1]],
    ["#next", ids[at + 1]],
  ]) {
    $(name).hidden = !id;
    if (id) $(name).href = addressOf(id);
  }
}

const go = (selector) => {
  const link = $(selector);
  if (link.hidden || !link.href) return false;
  // back leads to the list, not through all pictures
  labels.settled(image.id).then(() => location.replace(link.href));
  return true;
};
for (const selector of ["#previous", "#next"])
  $(selector).addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(selector);
  });

onKey((event, command) => {
  if (command) return false;
  if (viewer.key(event)) return true;
  if (event.key === "Escape" && viewer.isPointing) return (point(false), true);
  if (event.key === "ArrowLeft") return go("#previous");
  if (event.key === "ArrowRight") return go("#next");
  if (event.repeat) return false;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const count = boxes().length;
  if (step && count > 1)
    return (choose((Math.max(chosen, step < 0 ? 0 : -1) + step + count) % count), true);
  return act(event.key);
});

/** What a key says of the picture, or of the item that was chosen among several. */
function act(key) {
  const text = labelOf(key, classes);
  if (key.toLowerCase() === "u" && image.label) label(null);
  else if (image.state === "pending") return false;
  else if (missing && text) return add(text);
  else if (text && (isSeveral() || chosen >= 0)) return chosen >= 0 && correct(text);
  else if (key === "Delete") return chosen >= 0 && correct("");
  else if (image.label) return false;
  else if (key === "Enter" && image.reading?.text) label(image.reading.text);
  else if (text !== undefined) label(text);
  else return false;
  return true;
}

const isThis = (id) => id === image.id;
follow(
  (changed) => {
    if (!isThis(changed.id)) return;
    stored = changed;
    show(stored);
  },
  undefined,
  (id) => isThis(id) && !$("#delete").disabled && location.assign("/history"),
);

$("#delete").addEventListener("click", async () => {
  $("#delete").disabled = true;
  try {
    await deletion.remove([image.id], () => location.assign("/history"));
    location.assign(list ? list.back : "/history");
  } catch (error) {
    $("#delete").disabled = false;
    toast(error.message);
  }
});
$("#copy").addEventListener("click", async () => {
  const { project } = document.body.dataset;
  const query = project === "default" ? "" : `?${new URLSearchParams({ project })}`;
  const address = `${location.origin}${location.pathname}${query}`;
  try {
    await navigator.clipboard.writeText(address);
    toast(say("copied"));
  } catch {
    toast(address); // a page without TLS may not write to the clipboard
  }
});
neighbours();
draw();
