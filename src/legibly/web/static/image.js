// One picture on its own page: looked at closely, corrected item by item, and left for the previous
// or the next one of the list that it was opened from.
import * as api from "./api.js";
import { Card } from "./card.js";
import * as deletion from "./deletion.js";
import { $, make, onKey, say, toast } from "./dom.js";
import { corrected, inserted, placesOf } from "./items.js";
import { labelOf } from "./keys.js";
import { follow } from "./live.js";
import { listOf } from "./places.js";
import { Viewer } from "./viewer.js";

const classes = JSON.parse($("#classes").textContent);
let image = JSON.parse($("#image").textContent);
const items = () => image.reading?.items ?? [];
const isSeveral = () => items().length > 1;
/** The text that a correction starts from: what a person said, or what was read. */
const base = () => image.label?.text ?? image.reading?.text ?? "";
const digits = () =>
  items()
    .map((item, at) => ({ ...item, at }))
    .filter(({ kind }) => kind !== "separator");
let line = digits(); // the items of that text, less those taken out, with those added
const placeInLine = () => line.findIndex(({ at }) => at === chosen);
let chosen = isSeveral() ? -1 : 0; // of several items none is, until somebody chooses one

let missing = null; // the place of the picture at which a digit was overlooked

const card = new Card($("#card"), {
  classes,
  withPicture: false,
  onLabel: (_, text) => label(text),
  onChoose: (at) => choose(at),
});
const viewer = new Viewer($("#viewer"), {
  image,
  onChoose: (at) => choose(at),
  onPoint: (place) => {
    missing = place;
    draw();
  },
});
const adder = make("button", { type: "button", "aria-pressed": "false" }, say("item_add"));
adder.addEventListener("click", () => point(!viewer.isPointing));
viewer.tools.append(adder);

/** Point at a place at which a digit was overlooked, or at items again. */
function point(isPointing) {
  viewer.isPointing = isPointing;
  adder.setAttribute("aria-pressed", String(isPointing));
  viewer.stage.classList.toggle("pointing", isPointing);
  missing = null;
  if (isPointing) toast(say("item_point"));
  draw();
}

function draw() {
  card.show(image);
  viewer.show(image, chosen);
  viewer.mark(missing);
  correction();
}

function choose(at) {
  chosen = at;
  card.state.chosen = at;
  viewer.centre(at);
  draw();
}

/** The row in which the chosen item is corrected in place. */
function correction() {
  const place = $("#correction");
  if (missing) return showMissing(place);
  const item = isSeveral() ? items()[chosen] : null;
  const isPossible = item && corrected(base(), line, placeInLine(), item.label) !== undefined;
  place.hidden = !isPossible;
  if (!isPossible) return;
  const button = (name, run) => make("button", { type: "button", onclick: run }, name);
  place.replaceChildren(
    make("p", { class: "quiet" }, say("item_is", { number: chosen + 1, label: item.label })),
    make(
      "div",
      { class: "digits", role: "group", "aria-label": say("item_was") },
      ...classes.map((name) => button(name, () => correct(name))),
    ),
    button(say("item_remove"), () => correct("")),
  );
}

/** The row that says what was overlooked. */
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

/** Add a digit that was overlooked to the label. */
function add(name) {
  const text = inserted(base(), line, missing, name);
  if (text === undefined) {
    toast(say("item_unknown_place"));
    return false;
  }
  const added = { label: name, box: [missing.x - 1, missing.y - 1, 2, 2] };
  const before = [...base()];
  const at = [...text].findIndex((sign, place) => sign !== before[place]);
  const rank = placesOf(text, [...line, added]).indexOf(at);
  point(false);
  label(text, line.toSpliced(rank, 0, added));
  return true;
}

/** Correct the chosen item: the label is the text with this item as another. */
function correct(name) {
  const at = placeInLine();
  const text = corrected(base(), line, at, name);
  if (text === undefined) return false;
  label(text, name === "" ? line.filter((_, other) => other !== at) : line);
  return true;
}

/** Label the image; `fresh` are the items of the label's text, where they are known. */
async function label(text, fresh = digits()) {
  try {
    image = await api.label(image.id, text);
    line = fresh;
    draw();
    $("#status").textContent = text === null ? say("taken_back") : say("noted", { text });
  } catch (error) {
    toast(error.message);
  }
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
  location.replace(link.href); // back leads to the list, not through every picture
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
  if (step && isSeveral()) return (choose((chosen + step + items().length) % items().length), true);
  return act(event.key);
});

/** What a key says of the picture, or of the item that was chosen among several. */
function act(key) {
  const text = labelOf(key, classes);
  if (key.toLowerCase() === "u" && image.label) label(null);
  else if (image.state === "pending") return false;
  else if (missing && text) return add(text);
  else if (isSeveral() && text) return chosen >= 0 && correct(text);
  else if (isSeveral() && key === "Delete") return chosen >= 0 && correct("");
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
    if (changed.label?.text !== image.label?.text) line = digits();
    image = changed;
    draw();
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
  try {
    await navigator.clipboard.writeText(location.href);
    toast(say("copied"));
  } catch {
    toast(location.href); // a page without TLS may not write to the clipboard
  }
});
neighbours();
draw();
