// The result table of a batch: it fills while the pictures are read.
import * as api from "./api.js";
import { answer, isWrong, labelText, verdict } from "./card.js";
import { $, debounce, make, number, percent, say, toast } from "./dom.js";
import { follow, newest } from "./live.js";
import { openFrom } from "./places.js";

const PAGE = 200;
const ASK_AGAIN_MS = 2000;
const table = $("#results");
const { batch } = table.dataset;
const order = $("#sort");
const rows = new Map(); // id → row
let next = null;
let loading = null; // the request of a page of rows

const cell = (title, ...children) => make("td", { "data-title": title }, ...children);

function row(image) {
  const titles = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
  const address = `/images/${image.id}?${new URLSearchParams({ batch, sort: order.value })}`;
  const isAnswer = ["read", "unsure"].includes(image.reading?.verdict);
  const picture = make("img", {
    src: api.picture(image.id, 96),
    alt: "",
    width: 44,
    height: 44,
    loading: "lazy",
  });
  const name = make("a", { href: address }, image.name || say("a_picture"));
  name.addEventListener("click", () => openFrom([...rows.keys()], location.pathname));
  const label = image.label ? labelText(image.label) : "";
  return make(
    "tr",
    { "data-id": image.id, class: isWrong(image) ? "wrong" : "" },
    make("td", { class: "picture-cell" }, picture),
    make("th", { scope: "row", class: "words" }, name),
    cell(titles[2], make("strong", {}, answer(image))),
    make("td", { class: "words", "data-title": titles[3] }, verdict(image)),
    cell(titles[4], isAnswer ? percent(image.reading.confidence) : "–"),
    cell(titles[5], label || "–"),
  );
}

function put(image) {
  const fresh = row(image);
  if (rows.has(image.id)) rows.get(image.id).replaceWith(fresh);
  else table.tBodies[0].append(fresh);
  rows.set(image.id, fresh);
}

async function load() {
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  try {
    const begun = performance.now();
    const query = { batch, sort: order.value, limit: PAGE, after: next };
    const page = await api.images(query, signal);
    newest(page.images, begun).forEach(put);
    next = page.next;
  } catch (error) {
    if (signal.aborted) return;
    toast(error.message, { action: say("try_again"), run: load });
  }
  loading = null;
  $("#more").hidden = next === null;
}

const summarize = debounce(async () => {
  try {
    const counts = await (await api.ask(`/api/batches/${batch}`)).json();
    const values = Object.entries(counts).map(([name, value]) => [
      name,
      typeof value === "number" ? number(value) : value,
    ]);
    const key = counts.labelled ? "batch_counts_labelled" : "batch_counts";
    $("#summary").textContent = say(key, Object.fromEntries(values));
    // Events of the time before this page followed them are lost: the counts tell.
    if (!loading && next === null && counts.read > rows.size) start();
    if (counts.read < counts.images) setTimeout(summarize, ASK_AGAIN_MS);
  } catch {
    /* the next change asks again */
  }
}, 300);

function start() {
  rows.clear();
  next = null;
  table.tBodies[0].replaceChildren();
  load();
}

order.addEventListener("change", start);
$("#more button").addEventListener("click", load);
follow(
  (image) => {
    if (image.batch !== batch) return;
    if (image.state !== "pending" || rows.has(image.id)) put(image);
    summarize();
  },
  start,
  (id) => {
    rows.get(id)?.remove();
    if (rows.delete(id)) summarize();
  },
);
start();
summarize();
