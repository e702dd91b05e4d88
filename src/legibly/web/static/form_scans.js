// The scans of a stored form: each field's value is an image of the project. It can be confirmed or
// corrected here, in Review, or in another browser; all show the result.
import * as api from "./api.js";
import { $, $$, asCards, debounce, make, mark, number, percent, say, toast } from "./dom.js";
import { asCsv, asJson, isDoubtful, textOf } from "./form_table.js";
import * as labels from "./label_queue.js";
import { follow } from "./live.js";

const IN_FLIGHT = 2;
const HEADS = ["form_head_field", "form_head_picture", "answer", "form_head_verdict"];
const pages = []; // newest first: `{ source, fields: { name: value }, error }`
let form = null; // `{ name, batch, fields }`

const path = () => `/api/forms/${encodeURIComponent(form.name)}`;

/** Show the scans of a form, and follow their changes. */
export async function open(stored) {
  form = stored;
  follow(onImage, refresh, onRemoved);
  await refresh();
}

/** The names of the form's fields, then those of values from earlier versions. */
function names() {
  const own = form.fields.map(({ name }) => name);
  return [...new Set([...own, ...pages.flatMap(({ fields }) => Object.keys(fields))])];
}

async function refresh() {
  const begun = performance.now();
  try {
    const answer = await (await api.ask(`${path()}/values`)).json();
    for (const page of answer.pages.reverse()) add(page, begun);
  } catch (error) {
    toast(error.message);
  }
}
const refreshSoon = debounce(refresh, 500);

/** Show a page, or its changes, as of a time of the server. */
function add(page, begun) {
  const shown = pages.find(({ source, error }) => !error && source === page.source);
  if (page.error || !shown) {
    pages.unshift(page);
    page.section = section(page);
    $("#pages").prepend(page.section);
  } else merge(shown, page, begun);
  drawButtons();
}

function merge(shown, page, begun) {
  let isLarger = false;
  for (const [name, value] of Object.entries(page.fields)) {
    const known = shown.fields[name];
    if (known?.image === value.image) update(known, value, begun);
    else {
      shown.fields[name] = value;
      isLarger = true;
    }
  }
  if (isLarger) redraw(shown);
}

/** Use the server's state at a time, unless this page has a newer one. */
function update(value, { text, verdict, confidence, truth }, at) {
  if (value.sending || value.at > at) return;
  Object.assign(value, { text, verdict, confidence, truth, at });
  value.draw();
}

function updateFromImage(value, { reading, label }) {
  const { text, verdict, confidence } = reading ?? value;
  update(value, { text, verdict, confidence, truth: label?.text }, performance.now());
}

function valueOf(id) {
  const values = pages.flatMap(({ fields }) => Object.values(fields));
  return values.find(({ image }) => image === id);
}

function onImage(image) {
  if (image.batch !== form.batch) return;
  const value = valueOf(image.id);
  if (value) updateFromImage(value, image);
  else refreshSoon();
}

function onRemoved(id) {
  for (const page of pages) {
    const entry = Object.entries(page.fields).find(([, { image }]) => image === id);
    if (!entry) continue;
    delete page.fields[entry[0]];
    if (Object.keys(page.fields).length) redraw(page);
    else {
      pages.splice(pages.indexOf(page), 1);
      page.section.remove();
    }
    drawButtons();
  }
}

// Reading
/** Read scans with the form. */
export async function read(files) {
  const todo = [...files];
  const total = number(todo.length);
  let count = 0;
  const worker = async () => {
    for (let file = todo.shift(); file; file = todo.shift()) {
      for (const page of await pagesOf(file)) add(page, 0);
      $("#progress").textContent = say("form_progress", { count: number(++count), total });
    }
  };
  $("#progress").textContent = say("form_progress", { count: number(0), total });
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function pagesOf(file) {
  const body = new FormData();
  body.set("file", file);
  const headers = { "Idempotency-Key": api.fresh() };
  try {
    const answer = await api.ask(`${path()}/read`, { method: "POST", body, headers });
    return (await answer.json()).pages;
  } catch (error) {
    return [{ source: file.name, fields: {}, error: error.message }];
  }
}

// The tables
function drawButtons() {
  $("#as-csv").hidden = $("#as-json").hidden = pages.every(({ error }) => error);
}

function redraw(page) {
  const fresh = section(page);
  page.section.replaceWith(fresh);
  page.section = fresh;
}

function section(page) {
  const content = page.error ? make("p", { class: "note bad" }, page.error) : table(page);
  return make("section", {}, make("h3", {}, page.source), content);
}

function table(page) {
  const heads = HEADS.map((key) => make("th", { scope: "col", class: "words" }, say(key)));
  const rows = names()
    .filter((name) => page.fields[name])
    .map((name) => row(page.source, name, page.fields[name]));
  const head = make("thead", {}, make("tr", {}, ...heads));
  const element = make("table", { class: "list forms" }, head, make("tbody", {}, ...rows));
  asCards(element);
  return element;
}

function row(source, name, value) {
  const place = say("form_value", { field: name, source });
  const state = make("td", { class: "words" });
  const input = make("input", {
    type: "text",
    size: 12,
    maxlength: 200,
    autocomplete: "off",
    "aria-label": place,
  });
  const confirm = () => send(value, input.value.trim());
  value.draw = () => {
    if (document.activeElement !== input) input.value = textOf(value);
    state.replaceChildren(...verdictOf(value, place, confirm));
  };
  input.addEventListener("change", confirm);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    confirm();
    nextOpen(input)?.select();
  });
  value.draw();
  const title = say("picture_of", { name: place });
  const picture = make("img", {
    src: `/api/images/${value.image}/original`,
    alt: "",
    class: "strip",
    loading: "lazy",
  });
  return make(
    "tr",
    {},
    make("th", { scope: "row", class: "words" }, name),
    make(
      "td",
      { class: "words" },
      make("a", { href: `/images/${value.image}`, "aria-label": title }, picture),
    ),
    make("td", { class: "words" }, input),
    state,
  );
}

/** By whom a value was confirmed, or its confidence. */
function verdictOf(value, place, confirm) {
  if (typeof value.truth === "string") return [mark("read"), ` ${say("form_confirmed")}`];
  const name = `verdict_${value.verdict}`;
  const share = ["read", "unsure"].includes(value.verdict) ? percent(value.confidence) : "";
  const button = { type: "button", "aria-label": `${say("right")}: ${place}`, onclick: confirm };
  return [mark(value.verdict), ` ${say(name)} ${share} `, make("button", button, say("right"))];
}

/** The next value that is not confirmed or corrected. */
function nextOpen(input) {
  const all = $$("#pages tbody tr");
  const after = all.slice(all.indexOf(input.closest("tr")) + 1);
  const open = after.find((other) => $("button", other));
  return open && $("input", open);
}

/** Store the true text of a value; if it is refused, restore the old one. */
async function send(value, text) {
  if (value.truth === text) return;
  const before = value.truth;
  value.truth = text;
  value.sending = (value.sending ?? 0) + 1;
  value.draw();
  try {
    const image = await labels.send(value.image, { text });
    value.sending--;
    updateFromImage(value, image);
  } catch (error) {
    value.sending--;
    if (!value.sending) value.truth = before;
    value.draw();
    toast(error.message);
  }
}

// Files
function save(name, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

$("#as-csv").addEventListener("click", () =>
  save(`${form.name}.csv`, "text/csv", asCsv(names(), pages)),
);
$("#as-json").addEventListener("click", () =>
  save(`${form.name}.json`, "application/json", asJson(names(), pages)),
);
