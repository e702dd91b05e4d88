// Forms: the boxes on a scan of an empty form get names and are stored; then every scan has named
// values. A form that is not stored is a draft in this browser.
import * as api from "./api.js";
import { $, $$, confirmed, make, number, say, toast } from "./dom.js";
import { accept } from "./files.js";
import * as scans from "./form_scans.js";

const { project, owner } = document.body.dataset;
const KEY = `legibly-form-${project}-${owner}`;
const address = new URLSearchParams(location.search).get("form");
let form = null; // { width, height, fields, picture }, with name, version and batch if it is stored
let saved = ""; // the description as it is stored

// The form
const description = () => ({ format: 1, width: form.width, height: form.height, fields: fields() });
const fields = () => form.fields.map(({ name, box, cells }) => ({ name, box, cells }));
const isStored = () => Boolean(form?.version);

function complain(text) {
  $("#form-problem").textContent = text;
  $("#form-problem").hidden = !text;
}

function keep() {
  drawButtons();
  if (isStored()) return;
  try {
    localStorage.setItem(KEY, JSON.stringify(form));
  } catch {
    /* no storage, or too large a picture: the draft is lost when the page is left */
  }
}

function use(opened) {
  form = opened;
  complain("");
  keep();
  drawForm();
}

function drawForm() {
  $("#form").hidden = !form;
  if (!form) return;
  drawSheet();
  $("#fields").replaceChildren(...form.fields.map(row));
}

function drawButtons() {
  const isChanged = form && JSON.stringify(description()) !== saved;
  $("#form-save").hidden = !form;
  $("#form-store").hidden = !isChanged;
  $("#naming").hidden = !form || isStored();
  $("#scans").hidden = !isStored();
  if ($("#form-delete")) $("#form-delete").hidden = !isStored();
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

/** A field of the form: its name, and a button to leave it out. */
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
    reviewLink(field),
  ];
  return make("li", {}, make("div", {}, ...parts));
}

/** Review of one field on all scans. */
function reviewLink({ name }) {
  if (!isStored() || !("review" in $("#fields").dataset)) return null;
  const query = new URLSearchParams({
    batch: form.batch,
    search: `[${name}]`,
    labelled: "false",
  });
  return make("a", { href: `/review?${query}` }, say("form_review"));
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
}

function leaveOut(at) {
  if (form.fields.length === 1) return void toast(say("form_last_field"));
  form.fields.splice(at, 1);
  keep();
  drawForm();
}

async function begin(file) {
  complain("");
  const body = new FormData();
  body.set("file", file);
  try {
    const answer = await api.ask("/api/forms?pictures=true", { method: "POST", body });
    use(await answer.json());
    $("#form-name").value ||= file.name.replace(/\.[^.]+$/, "");
  } catch (error) {
    complain(error.message);
  }
}

async function open(file) {
  try {
    const opened = JSON.parse(await file.text());
    if (opened.format !== 1 || !opened.fields.every(({ box }) => box.length === 4)) throw opened;
    const { width, height, fields: own, picture } = opened;
    use({ width, height, fields: own, picture });
    $("#form-name").value ||= file.name.replace(/\.[^.]+$/, "");
  } catch {
    complain(say("form_not_one", { name: file.name }));
  }
}

// The store
async function load(name) {
  try {
    const stored = await api.form(name);
    form = stored;
    saved = JSON.stringify(description());
    use(stored);
    await scans.open(stored);
  } catch (error) {
    complain(error.message);
  }
}

async function store() {
  complain("");
  const name = form.name ?? $("#form-name").value.trim();
  try {
    const { picture = null } = form;
    const stored = await api.storeForm(name, { ...description(), picture }, form.version);
    if (!isStored()) {
      localStorage.removeItem(KEY);
      return void location.assign(`/forms?form=${encodeURIComponent(stored.name)}`);
    }
    form.version = stored.version;
    saved = JSON.stringify(description());
    drawButtons();
    drawForm();
  } catch (error) {
    complain(error.message);
  }
}

async function remove() {
  if (!(await confirmed(say("form_delete_ask", { name: form.name })))) return;
  try {
    await api.removeForm(form.name);
    location.assign("/forms");
  } catch (error) {
    complain(error.message);
  }
}

function download() {
  const text = `${JSON.stringify(description(), null, 1)}\n`;
  const href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href, download: `${form.name ?? "form"}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

$("#form-store").addEventListener("click", store);
$("#form-delete")?.addEventListener("click", remove);
$("#form-save").addEventListener("click", download);
const onFiles = (selector, run) =>
  $(selector)?.addEventListener("change", ({ target }) => {
    const files = [...target.files];
    target.value = "";
    if (files.length) run(files);
  });
onFiles("#form-scan", ([file]) => begin(file));
onFiles("#form-open", ([file]) => open(file));
onFiles("#scan-files", scans.read);
accept((files) => (isStored() ? scans.read(files) : begin(files[0])));

const draft = localStorage.getItem(KEY);
if (address) load(address);
else if (draft && draft !== "null") use(JSON.parse(draft));
