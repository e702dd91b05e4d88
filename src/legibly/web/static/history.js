// The gallery: pages of pictures by cursor, filters in the address, actions on many pictures.
import * as api from "./api.js";
import { shot } from "./card.js";
import * as deletion from "./deletion.js";
import { $, $$, debounce, make, number, onKey, say, toast } from "./dom.js";
import * as labels from "./label_queue.js";
import { follow, newest } from "./live.js";
import { openFrom } from "./places.js";

const PAGE = 60;
const AT_ONCE = 12; // pictures in the first window are not lazy, which would delay them
const MAX_RESTORED = 3000;
const MAX_AT_ONCE = 5000;
const gallery = $("#gallery"),
  filters = $("#filters"),
  more = $("#more");
const known = new Map(),
  chosen = new Set();
let next = null,
  loading = null,
  done = false,
  last = null;

const isPercent = (name) => name.startsWith("confidence");
const converted = (name, value, factor) =>
  isPercent(name) && Number(value) >= 0 ? String(Number((value * factor).toFixed(6))) : value;

/** The filters in the form of the API and the address: confidences as shares of 1. */
const query = () =>
  Object.fromEntries(
    [...new FormData(filters)]
      .map(([name, value]) => [name, String(value).trim()])
      .filter(([, value]) => value)
      .map(([name, value]) => [name, converted(name, value, 0.01)]),
  );
const asAddress = () => `?${new URLSearchParams(query())}`.replace(/\?$/, "");

function tile(image, { lazy = true } = {}) {
  const box = make("input", {
    type: "checkbox",
    "aria-label": say("select", { name: image.reading?.text || image.name || image.id }),
  });
  box.addEventListener("click", (event) => choose(image.id, box.checked, event.shiftKey));
  const link = shot(image, { lazy });
  link.addEventListener("click", () => {
    const place = `${location.pathname}${asAddress()}`;
    history.replaceState(null, "", `${place}#${image.id}`); // so that Back returns to this tile
    openFrom([...known.keys()], place);
  });
  return choosing(make("li", { "data-id": image.id }, link, box), chosen.has(image.id));
}

function choosing(item, on) {
  $("input", item).checked = on;
  item.classList.toggle("chosen", on);
  return item;
}

function choose(id, on, range) {
  const ids = [...known.keys()];
  const [from, to] =
    range && last
      ? [ids.indexOf(last), ids.indexOf(id)].sort((a, b) => a - b)
      : [ids.indexOf(id), ids.indexOf(id)];
  for (const each of ids.slice(from, to + 1)) on ? chosen.add(each) : chosen.delete(each);
  last = id;
  selection();
}

/** Tiles are in blocks of one page each: the browser lays out and paints only those near the
 * window. */
function block() {
  const list = make("ul", { class: "shots big" });
  gallery.append(list);
  return list;
}

/** Fill every block but the last one, so that rows have no gaps after additions and removals. */
function even() {
  for (let list = gallery.firstElementChild; list; list = list.nextElementSibling) {
    while (list.childElementCount > PAGE)
      (list.nextElementSibling ?? block()).prepend(list.lastElementChild);
    while (list.childElementCount < PAGE && list.nextElementSibling) {
      const following = list.nextElementSibling;
      if (following.firstElementChild) list.append(following.firstElementChild);
      else following.remove();
    }
  }
}

function selection() {
  for (const item of $$("li", gallery)) choosing(item, chosen.has(item.dataset.id));
  $("#selected").hidden = chosen.size === 0;
  $("#select-all").hidden = done || chosen.size < known.size;
  $("#selected-count").textContent = say("selected", { count: number(chosen.size) });
}

function count() {
  $("#count").textContent = say(done ? "shown_all" : "shown", { count: number(known.size) });
  $("#empty").hidden = !(done && known.size === 0);
  $("#all-downloads").hidden = known.size === 0;
  more.hidden = done;
}

/** Fetch the next page, if there is one; concurrent calls share one request. */
let fetching = Promise.resolve();
function load() {
  if (loading || done) return fetching;
  loading = new AbortController();
  fetching = fetchPage(loading);
  return fetching;
}

async function fetchPage(mine) {
  try {
    const begun = performance.now();
    const page = await api.images({ ...query(), limit: PAGE, after: next }, mine.signal);
    const fresh = newest(page.images, begun).filter((image) => !known.has(image.id));
    const add = (image) => tile(image, { lazy: known.set(image.id, image).size > AT_ONCE });
    block().append(...fresh.map(add));
    if (fresh.length < PAGE) even();
    next = page.next;
    done = next === null;
  } catch (error) {
    if (mine.signal.aborted) return;
    toast(error.message, { action: say("try_again"), run: load });
  }
  if (loading === mine) loading = null;
  count();
  comeBack();
  if (!done && more.getBoundingClientRect().top < innerHeight + 600) load();
}

/** Select all matching pictures, including those on later pages. */
async function selectAll() {
  for (let before = -1; !done && before < known.size && known.size < MAX_AT_ONCE;) {
    before = known.size;
    await load();
  }
  [...known.keys()].forEach((id) => chosen.add(id));
  selection();
}

/** The filter of a cell of the accuracy table, in words. */
function place() {
  const { actual, predicted } = query();
  $("#place").hidden = !actual && !predicted;
  $("#place strong").textContent = say(
    actual && predicted ? "place" : actual ? "returningactual" : "returningpredicted",
    { actual, predicted },
  );
}

function leavePlace() {
  filters.elements.actual.value = filters.elements.predicted.value = "";
}

function start({ push = true } = {}) {
  loading?.abort();
  loading = null;
  next = null;
  done = false;
  known.clear();
  chosen.clear();
  gallery.replaceChildren();
  selection();
  place();
  const address = asAddress();
  if (push) history.replaceState(null, "", location.pathname + address);
  showFormat();
  const review = $("#review-all");
  if (review) review.href = `/review${address || "?labelled=false"}`;
  load();
}

/** Return from the page of an image to its tile. */
let returning = location.hash.slice(1);
function comeBack() {
  if (!returning) return;
  const item = $(`li[data-id="${CSS.escape(returning)}"]`, gallery);
  if (!item && !done && known.size < MAX_RESTORED) return void load();
  returning = "";
  item?.scrollIntoView({ block: "center" });
  if (item) $("a", item).focus({ preventScroll: true });
}

function fromAddress() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = filters.elements[name];
    if (field?.type === "checkbox") field.checked = value === "true";
    else if (field) field.value = converted(name, value, 100);
  }
}

filters.addEventListener("input", debounce(start, 250));
filters.addEventListener("submit", (event) => (event.preventDefault(), start()));
filters.addEventListener("reset", () => (leavePlace(), setTimeout(start)));
$("#place button").addEventListener("click", () => (leavePlace(), start()));
$("button", more).addEventListener("click", load);
new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && load(), {
  rootMargin: "600px",
}).observe(more);

// Actions on many pictures
const replace = (image) => {
  if (!known.has(image.id)) return; // deleted, or no longer matching the filters
  known.set(image.id, image);
  $(`li[data-id="${image.id}"]`, gallery)?.replaceWith(tile(image));
};

let busy = 0; // actions in progress: leaving the page would interrupt them
addEventListener("beforeunload", (event) => busy && event.preventDefault());

/** Apply an action to each, four at a time; report how many failed, and why. */
async function each(items, run) {
  const todo = [...items],
    failures = [];
  const worker = async () => {
    for (let item = todo.shift(); item !== undefined; item = todo.shift())
      await run(item).catch((error) => failures.push(error.message));
  };
  busy++;
  await Promise.all([worker(), worker(), worker(), worker()]);
  busy--;
  if (failures.length) toast(say("some_failed", { count: failures.length, why: failures[0] }));
  return items.length - failures.length;
}

/** The present state of an image, or that of its selection if the page no longer shows it. */
const current = (image) => labels.withLabel(known.get(image.id) ?? image);
const textOf = (image) => image.label?.text ?? null;

/** Put labels `{ image, text }` that `isDue` still confirms when their turn comes. */
async function put(changes, isDue) {
  const changed = [];
  const run = async (change) => {
    const { image, text } = change;
    const before = textOf(current(image));
    if (!isDue({ ...change, before })) return;
    replace(await labels.send(image.id, text === null ? null : { text }));
    changed.push({ image, text: before, given: text });
  };
  await each(changes, run);
  return changed;
}

/** Label the selection; `text` of an image is null if it gets no label. */
async function labelAll(text, isDue = () => true) {
  const changes = [...chosen]
    .map((id) => known.get(id))
    .map((image) => ({ image, text: text(image) }))
    .filter((change) => change.text !== null);
  const changed = await put(changes, isDue);
  toast(say("labelled", { count: number(changed.length) }), {
    action: say("undo"),
    run: () => put(changed, ({ before, given }) => before === given),
  });
}
$("#bulk").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("#bulk-text").value.trim();
  if (text) labelAll(() => text);
});
// Existing labels stay, since confirming many answers at once is not a second look at each.
$("#as-read").addEventListener("click", () =>
  labelAll(
    (image) => image.reading?.text || null,
    ({ before }) => before === null,
  ),
);

/** Delete at once; undo restores the pictures. */
async function remove() {
  if (!chosen.size) return;
  const ids = [...chosen];
  chosen.clear();
  ids.forEach(drop);
  selection();
  try {
    await deletion.remove(ids, () => start({ push: false }));
  } catch (error) {
    toast(error.message);
    start({ push: false });
  }
}

/** Remove a deleted image from the page. */
function drop(id) {
  known.delete(id);
  chosen.delete(id);
  $(`li[data-id="${id}"]`, gallery)?.remove();
  even();
  count();
}
$("#delete").addEventListener("click", remove);
$("#select-all").addEventListener("click", selectAll);
$("#none").addEventListener("click", () => (chosen.clear(), selection()));
/** The files of a download: some formats are kinds of ZIP files. */
const fileOf = (format) => `/history/download.${format}`;
function showFormat() {
  $("#download-all").href = fileOf($("#format-all").value) + asAddress();
}
$("#format-all").addEventListener("change", showFormat);
$("#review-selected")?.addEventListener("click", () => {
  sessionStorage.setItem("legibly-review-ids", JSON.stringify([...chosen]));
  location.assign("/review?selected");
});
$("#download").addEventListener("click", () => {
  const form = make("form", { method: "post", action: fileOf($("#format").value) });
  form.append(make("input", { type: "hidden", name: "ids", value: [...chosen].join(" ") }));
  document.body.append(form);
  form.submit();
  form.remove();
});

onKey((event, command) => {
  if (command) return false;
  if (event.key === "/") return (filters.elements.search.focus(), true);
  if (event.key === "Escape") return (chosen.clear(), selection(), true);
  if (event.key.toLowerCase() === "a")
    return ([...known.keys()].forEach((id) => chosen.add(id)), selection(), true);
  if (event.key === "Delete") return (remove(), true);
  if (event.key.toLowerCase() === "n") return chosen.size > 0 && (labelAll(() => ""), true);
  return false;
});

// On a phone, filters are behind a button unless the address uses one.
const opener = $("#filters-open");
function unfold(open) {
  opener.setAttribute("aria-expanded", String(open));
  filters.classList.toggle("open", open);
}
opener.addEventListener("click", () => unfold(opener.getAttribute("aria-expanded") !== "true"));

const matches = () => Object.keys(query()).length === 0;
follow(
  (image) => {
    if (known.has(image.id)) return replace(image);
    if (!matches() || image.id < [...known.keys()][0]) return;
    const all = [[image.id, image], ...known];
    known.clear();
    for (const [id, each] of all) known.set(id, each);
    (gallery.firstElementChild ?? block()).prepend(tile(image));
    even();
    count();
  },
  undefined,
  drop,
);
deletion.offerAgain(() => start({ push: false }));
$("#nothing").addEventListener("click", () => labelAll(() => ""));
fromAddress();
unfold(
  $$("#filters-more input:not([type=hidden]), #filters-more select").some((field) =>
    field.type === "checkbox" ? field.checked : field.value,
  ),
);
start({ push: false });
