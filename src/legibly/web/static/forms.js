// Forms: boxes are found on a scan of the empty form and named; then each scan gives named values,
// which somebody may correct or confirm field by field.
import * as api from "./api.js";
import { $, $$, asCards, make, mark, number, percent, say, toast } from "./dom.js";
import { accept } from "./files.js";
import { asCsv, asJson, isDoubtful, textOf } from "./form_table.js";
import * as labels from "./label_queue.js";
import { blobOf } from "./left.js";
import { queue } from "./uploads.js";

const { project, owner } = document.body.dataset;
const KEY = `legibly-form-${project}-${owner}`;
const IN_FLIGHT = 2;
let form = null; // { width, height, fields, picture }
let pages = [];

// The form
const upload = (path, values) => {
  const body = new FormData();
  for (const [name, value] of Object.entries(values)) body.set(name, value);
  return api.ask(`${path}?pictures=true`, { method: "POST", body }).then((answer) => answer.json());
};
const description = () => ({ format: 1, width: form.width, height: form.height, fields: fields() });
const fields = () => form.fields.map(({ name, box, cells }) => ({ name, box, cells }));
const names = () => form.fields.map(({ name }) => name);

function complain(text) {
  $("#form-problem").textContent = text;
  $("#form-problem").hidden = !text;
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify(form));
  } catch {
    /* no storage, or the picture is too large for it: the form is there until the page is left */
  }
}

function use(opened) {
  form = opened;
  pages = [];
  complain("");
  keep();
  drawForm();
  drawPages();
}

function drawForm() {
  const isThere = Boolean(form);
  for (const name of ["#form", "#form-save", "#scans"]) $(name).hidden = !isThere;
  if (!isThere) return;
  drawSheet();
  $("#fields").replaceChildren(...form.fields.map(row));
}

function drawSheet() {
  const { width, height, picture } = form;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  form.fields.forEach(({ box: [x, y, width, height] }, at) => {
    const box = make("rect", { x, y, width, height, "data-at": at });
    box.addEventListener("click", () => $$("#fields input")[at].focus());
    svg.append(box);
  });
  const image = picture && make("img", { src: picture, alt: say("form_picture"), width, height });
  $("#sheet").style.aspectRatio = `${width} / ${height}`;
  $("#sheet").replaceChildren(...[image, svg].filter(Boolean));
}

/** A field of the form: its name, and a way to leave it out. */
function row(field, at) {
  const input = make("input", {
    type: "text",
    value: field.name,
    maxlength: 60,
    "aria-label": say("form_field", { number: number(at + 1) }),
  });
  const chosen = (on) => $(`#sheet [data-at="${at}"]`)?.classList.toggle("on", on);
  input.addEventListener("focus", () => (chosen(true), input.select()));
  input.addEventListener("blur", () => chosen(false));
  input.addEventListener("change", () => rename(field, input));
  const cells = field.cells > 1 ? say("form_cells", { count: number(field.cells) }) : "";
  const remove = { type: "button", onclick: () => leaveOut(at) };
  const parts = [
    input,
    make("small", { class: "quiet" }, cells),
    make("button", remove, say("form_leave_out")),
  ];
  return make("li", {}, make("div", {}, ...parts));
}

function rename(field, input) {
  const name = input.value.trim();
  if (!name || form.fields.some((other) => other !== field && other.name === name)) {
    toast(say("form_same_name"));
    input.value = field.name;
    return;
  }
  field.name = name;
  keep();
  drawPages();
}

function leaveOut(at) {
  form.fields.splice(at, 1);
  if (form.fields.length) {
    keep();
    drawForm();
    drawPages();
  } else use(null);
}

async function begin(file) {
  complain("");
  try {
    use(await upload("/api/forms", { file }));
  } catch (error) {
    complain(error.message);
  }
}

async function open(file) {
  try {
    const opened = JSON.parse(await file.text());
    if (opened.format !== 1 || !opened.fields.every(({ box }) => box.length === 4)) throw opened;
    use(opened);
  } catch {
    complain(say("form_not_one", { name: file.name }));
  }
}

// Scans: a page is `{ source, values, error }` with a value for each field
async function read(files) {
  const todo = [...files];
  const [reading, total] = [form, number(todo.length)];
  let count = 0;
  const worker = async () => {
    for (let file = todo.shift(); file; file = todo.shift()) {
      const added = await pagesOf(file);
      if (form !== reading) return; // another form was opened meanwhile
      pages.push(...added);
      $("#pages").append(...added.map(section));
      $("#progress").textContent = say("form_progress", { count: number(++count), total });
      drawButtons();
    }
  };
  $("#progress").textContent = say("form_progress", { count: number(0), total });
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

async function pagesOf(file) {
  const fields = [...form.fields];
  const sent = JSON.stringify(description());
  const order = fields.map(({ name }) => name); // somebody may rename them meanwhile
  try {
    const answer = await upload("/api/forms/read", { file, form: sent });
    return answer.pages.map(({ source, error, fields: read }) => {
      const values = new Map();
      if (!error) fields.forEach((field, at) => values.set(field, read[order[at]]));
      return { source, error, values };
    });
  } catch (error) {
    return [{ source: file.name, values: new Map(), error: error.message }];
  }
}

function drawButtons() {
  $("#as-csv").hidden = $("#as-json").hidden = pages.every(({ error }) => error);
}

function drawPages() {
  $("#pages").replaceChildren(...pages.map(section));
  drawButtons();
}

function section(page) {
  const title = make("h3", {}, page.source);
  return make(
    "section",
    {},
    title,
    page.error ? make("p", { class: "note bad" }, page.error) : table(page),
  );
}

function table(page) {
  const heads = ["form_head_field", "form_head_picture", "answer", "form_head_verdict"].map((key) =>
    make("th", { scope: "col", class: "words" }, say(key)),
  );
  const rows = form.fields.map((field) => valueRow(page, field, page.values.get(field)));
  const head = make("thead", {}, make("tr", {}, ...heads));
  const element = make("table", { class: "list forms" }, head, make("tbody", {}, ...rows));
  asCards(element);
  return element;
}

function valueRow(page, field, value) {
  const state = make("td", { class: "words" });
  const name = say("form_value", { field: field.name, source: page.source });
  const draw = () => state.replaceChildren(...verdictOf(value, name, () => confirm()));
  const input = make("input", {
    type: "text",
    size: 12,
    maxlength: 200,
    value: textOf(value),
    autocomplete: "off",
    "aria-label": name,
  });
  const confirm = () => {
    settle(page, field, value, input.value.trim());
    draw();
  };
  input.addEventListener("change", confirm);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    if (value.truth !== input.value.trim()) confirm();
    nextOpen(input)?.select();
  });
  const picture = value.picture
    ? make("img", { src: value.picture, alt: "", class: "strip" })
    : make("span", {}, "–");
  draw();
  return make(
    "tr",
    {},
    make("th", { scope: "row", class: "words" }, field.name),
    make("td", { class: "words" }, picture),
    make("td", { class: "words" }, input),
    state,
  );
}

/** What is known of a value: that somebody said so, or how sure the answer is. */
function verdictOf(value, place, confirm) {
  if (value.truth !== undefined) return [mark("read"), ` ${say("form_confirmed")}`];
  const name = `verdict_${value.verdict}`;
  const share = isDoubtful(value) || value.verdict === "read" ? percent(value.confidence) : "";
  return [
    mark(value.verdict),
    ` ${say(name)} ${share} `,
    make(
      "button",
      { type: "button", "aria-label": `${say("right")}: ${place}`, onclick: confirm },
      say("right"),
    ),
  ];
}

/** The next value that nobody has confirmed or corrected. */
function nextOpen(input) {
  const all = $$("#pages tbody tr");
  const after = all.slice(all.indexOf(input.closest("tr")) + 1);
  const row = after.find((other) => $("button", other));
  return row && $("input", row);
}

/** Keep what somebody said: for the files, and as a picture of the field with its true text. */
function settle(page, field, value, text) {
  value.truth = text;
  value.once ??= api.fresh();
  const name = `${page.source}: ${field.name}`;
  const run = async () => {
    if (value.image) return void (await labels.send(value.image, { text }));
    const blob = blobOf(value.picture);
    const image = await queue.deliver({ blob, once: value.once, name, truth: text });
    value.image = image.id;
  };
  value.sent = (value.sent ?? Promise.resolve()).then(run).catch((error) => toast(error.message));
}

// Files
const byName = () =>
  pages.map(({ source, error, values }) => ({
    source,
    error,
    fields: error
      ? {}
      : Object.fromEntries(form.fields.map((field) => [field.name, values.get(field)])),
  }));

function save(name, type, text) {
  const href = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

$("#form-save").addEventListener("click", () =>
  save("form.json", "application/json", `${JSON.stringify(description(), null, 1)}\n`),
);
$("#as-csv").addEventListener("click", () =>
  save("values.csv", "text/csv", asCsv(names(), byName())),
);
$("#as-json").addEventListener("click", () =>
  save("values.json", "application/json", asJson(names(), byName())),
);
const onFiles = (selector, run) =>
  $(selector).addEventListener("change", ({ target }) => {
    const files = [...target.files];
    target.value = "";
    if (files.length) run(files);
  });
onFiles("#form-scan", ([file]) => begin(file));
onFiles("#form-open", ([file]) => open(file));
onFiles("#scan-files", read);
accept((files) => (form ? read(files) : begin(files[0])));

const earlier = localStorage.getItem(KEY);
if (earlier && earlier !== "null") use(JSON.parse(earlier));
