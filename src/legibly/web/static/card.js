// The answer for one picture: text, confidence, the model's input, explanation and true label.
import * as api from "./api.js";
import { $, make, mark, number, percent, say } from "./dom.js";

const KINDS = ["read", "unsure", "blank", "not_a_digit", "unknown", "failed", "pending"];
/** The confidence from which on the present model is sure, from its card. */
const SURE = Number(document.body.dataset.sure || 0.9);

export const kind = (image) => (image.state === "read" ? image.reading.verdict : image.state);

/** Up to this many classes have buttons; more are a searchable list. */
const MAX_BUTTONS = 12;

/** The share of sure answers that may be wrong on unknown kinds of writing, from the card. */
const DOUBT = Number(document.body.dataset.doubt || 0);

/** The text of the answer, which may be 0. */
export function answer(image) {
  if (image.state !== "read") return image.state === "failed" ? "–" : "…";
  if (image.reading.verdict === "blank") return "∅";
  return hasText(image) ? image.reading.text : "✕";
}

const hasText = ({ state, reading }) =>
  state === "read" && reading.text !== "" && ["read", "unsure"].includes(reading.verdict);

/**
 * Confidence in words: how many of a thousand such answers are wrong. For sure answers, at least
 * the figure of the worst kind of writing that was not used to set the threshold.
 */
export function sureness(confidence) {
  const base = 1000;
  const count = Math.max(1, base - Math.floor(confidence * base)); // as `percent` rounds
  const bound = Math.ceil(DOUBT * base);
  if (confidence >= SURE && bound > count) {
    const words = { percent: percent(confidence), base: number(base), count: number(bound) };
    return say("sureness_bound", words);
  }
  return say(count === 1 ? "sureness_one" : "sureness", {
    percent: percent(confidence),
    base: number(base),
    count: number(count),
  });
}

export function verdict(image) {
  const name = kind(image);
  const shown = KINDS.includes(name) ? name : "unknown";
  return make("span", { class: `verdict ${shown}` }, mark(shown), say(`verdict_${shown}`));
}

export const isWrong = (image) =>
  Boolean(image.label && image.reading && image.label.text !== image.reading.text);

/** A label in words: an empty one means that there is no digit. */
export const labelText = (label) => (label.text === "" ? "∅" : label.text);

/** The name of a class as a sign, and within a sentence. */
const signOf = (name) => (name === "not_a_digit" ? "✕" : name);
const nameOf = (name) => (name === "not_a_digit" ? say("verdict_not_a_digit") : name);

/** A small picture with its answer, as a link to its page. */
export function shot(image, { lazy = true, query = "" } = {}) {
  const name = kind(image);
  const text = hasText(image) ? image.reading.text : "";
  const state = make("small", { class: text ? "sr" : "" }, ` ${say(`verdict_${name}`)} `);
  let truth = "";
  if (image.label) truth = isWrong(image) ? `→ ${labelText(image.label)}` : "✓";
  return make(
    "a",
    {
      class: `shot${isWrong(image) ? " wrong" : ""}`,
      href: `/images/${image.id}${query}`,
      title: image.name,
      "data-id": image.id,
    },
    make("img", {
      class: "thumb",
      src: api.picture(image.id, 192),
      alt: "",
      loading: lazy ? "lazy" : "eager",
      decoding: "async",
      width: 96,
      height: 96,
    }),
    make(
      "span",
      { class: `line ${name}${text.length > 5 ? " long" : ""}` },
      mark(name),
      text ? make("span", {}, text) : "",
      state,
      make("small", { class: "true" }, truth),
    ),
    make("span", { class: "name" }, image.name ?? ""),
  );
}

/** The boxes of the items; each reacts to a tap within 44 pixels. */
function boxes(image, chosen, choose) {
  const svg = make("svg", {
    viewBox: `0 0 ${image.width} ${image.height}`,
    preserveAspectRatio: "xMidYMid meet",
    "aria-hidden": "true",
  });
  image.reading.items.forEach((item, at) => {
    const [x, y, width, height] = item.box;
    const names = [item.confidence < SURE ? "unsure" : "", at === chosen ? "on" : ""];
    const box = { x, y, width, height };
    svg.append(make("rect", { ...box, class: names.join(" ").trim(), "data-item": at }));
  });
  svg.addEventListener("click", (event) => {
    const at = nearest(svg, image.reading.items, event);
    if (at >= 0) choose(at);
  });
  return svg;
}

/** The item whose box is nearest to a tap, within half a finger (22 CSS pixels); -1 for none. */
function nearest(svg, items, event) {
  const point = new DOMPoint(event.clientX, event.clientY);
  const matrix = svg.getScreenCTM();
  const place = point.matrixTransform(matrix.inverse());
  let best = -1;
  let least = 22 / matrix.a;
  items.forEach(({ box: [x, y, width, height] }, at) => {
    const across = Math.max(x - place.x, 0, place.x - x - width);
    const down = Math.max(y - place.y, 0, place.y - y - height);
    const inside = across === 0 && down === 0 ? -1 / (width * height) : Math.hypot(across, down);
    if (inside < least) {
      least = inside;
      best = at;
    }
  });
  return best;
}

function picture(image, chosen, choose) {
  const wide = image.width && image.width / image.height > 2.2;
  const frame = make("figure", { class: wide ? "picture wide" : "picture" });
  frame.append(
    make("img", {
      src: image.preview?.url ?? api.picture(image.id, 640),
      alt: say("picture_of", { name: image.name ?? say("a_picture") }),
      width: image.width || 280,
      height: image.height || 280,
      decoding: "async",
    }),
  );
  if (image.reading?.items.length && image.width) frame.append(boxes(image, chosen, choose));
  return frame;
}

/** The probabilities of one item: the first three as bars, all as figures. */
function bars(image, item, all) {
  const sorted = Object.entries(item.probabilities).sort((a, b) => b[1] - a[1]);
  const shown = all ? sorted : sorted.slice(0, 3);
  const long = shown.some(([name]) => name.length > 2 && name !== "not_a_digit") ? " long" : "";
  const list = make("ul", { class: `bars${all ? "" : " plain"}${long}` });
  for (const [name, share] of shown) {
    const fill = make("span");
    fill.style.transform = `scaleX(${share})`;
    list.append(
      make(
        "li",
        {},
        make("b", {}, signOf(name)),
        make("i", { "aria-hidden": "true" }, fill),
        make("em", { class: all ? "" : "sr" }, percent(share)),
      ),
    );
  }
  const several = image.reading.items.length > 1;
  const title = say(several ? "bars_item" : "bars", { label: nameOf(item.label) });
  return make("div", {}, make("p", { class: "small quiet bars-title" }, title), list);
}

function saw(image, chosen) {
  const source = image.preview ? image.preview.inputs[chosen] : api.input(image.id, chosen);
  if (!source) return null;
  return make(
    "figure",
    { class: "saw" },
    make("img", { src: source, alt: say("saw_alt"), width: 112, height: 112 }),
    make("figcaption", {}, say("saw")),
  );
}

/** The explanation of an item: `{ source, sentence }`. */
async function explanation(image, number) {
  if (image.preview) {
    const document = await api.preview(image.preview.blob, { explain: number, tries: 1 });
    if (!document.explanation) throw new Error("no explanation");
    return { source: document.explanation, sentence: document.sentence };
  }
  const { sentence } = await api.why(image.id, number).catch(() => ({ sentence: "" }));
  return { source: api.explanation(image.id, number), sentence };
}

function why(image, chosen, item) {
  const inside = make("div", { class: "inside" });
  const box = make("details", { class: "why" }, make("summary", {}, say("why")), inside);
  const missing = () => inside.replaceChildren(make("p", { class: "quiet" }, say("why_missing")));
  box.addEventListener("toggle", async () => {
    if (!box.open || inside.firstChild) return;
    try {
      const { source, sentence } = await explanation(image, chosen);
      const alt = say("why_alt", { label: nameOf(item.label) });
      const shown = make("img", { src: source, alt, width: 168, height: 168 });
      shown.onerror = missing;
      inside.replaceChildren(shown, reasons(item, sentence));
    } catch {
      missing();
    }
  });
  return box;
}

function reasons(item, sentence) {
  const text = make("p", { class: "small" });
  if (sentence) text.append(sentence, make("br"));
  text.append(
    make("span", { class: "swatch" }),
    " ",
    say("why_for", { label: nameOf(item.label) }),
  );
  const rival = item.confused_with ?? "";
  if (rival) {
    const swatch = make("span", { class: "swatch rival" });
    text.append(make("br"), swatch, " ", say("why_against", { rival: nameOf(rival) }));
  }
  if (item.legibility !== null && item.legibility !== undefined)
    text.append(make("br"), say("legibility", { percent: percent(item.legibility) }));
  return text;
}

/** Only the model that read this picture can show its input and explain its answer. */
const isCurrent = ({ reading: { model } }) =>
  `${model.name}@${model.version}` === document.body.dataset.model;

function detail(image, state, redraw) {
  const item = image.reading.items[state.chosen];
  const more = make(
    "button",
    {
      type: "button",
      class: "link",
      "aria-expanded": String(Boolean(state.all)),
      onclick: () => {
        state.all = !state.all;
        redraw();
      },
    },
    say(state.all ? "fewer" : "all_probabilities"),
  );
  const left = make(
    "div",
    {},
    hasText(image) || state.all ? bars(image, item, state.all) : null,
    Object.keys(item.probabilities).length > 3 ? more : null,
  );
  if (!isCurrent(image))
    return [
      make("div", { class: "detail" }, left),
      make("p", { class: "quiet small" }, say("other_model")),
    ];
  return [
    make("div", { class: "detail" }, left, saw(image, state.chosen) ?? ""),
    why(image, state.chosen, item),
  ];
}

/** The number of items in each row of a reading, according to its text. */
function rows({ text, items }) {
  const lengths = text.split("/").map((row) => row.replaceAll(" ", "").length);
  const fits =
    items.every((item) => item.label.length === 1) &&
    lengths.every(Boolean) &&
    lengths.reduce((sum, length) => sum + length, 0) === items.length;
  return fits ? lengths : [];
}

function picks(image, state, choose) {
  const box = make("div", { class: "items", role: "group", "aria-label": say("items") });
  const lengths = rows(image.reading);
  let row = null;
  let left = 0;
  image.reading.items.forEach((item, at) => {
    if (left === 0) {
      row = make("div");
      box.append(row);
      left = lengths.shift() ?? Infinity;
    }
    left--;
    row.append(
      make(
        "button",
        {
          type: "button",
          class: item.confidence < SURE ? "unsure" : "",
          "aria-pressed": String(at === state.chosen),
          onclick: () => choose(at),
          "aria-label": nameOf(item.label),
        },
        signOf(item.label),
      ),
    );
  });
  return box;
}

const isSingle = ({ reading }) =>
  !reading || reading.text.length <= 1 || document.body.dataset.reads !== "digits";

/** The label, or the controls to give one. */
function truth(image, { classes, onLabel, asks }) {
  const box = make("div", { class: "truth" });
  box.append(
    ...(image.label ? [labelled(image, onLabel)] : choices(image, classes, onLabel, asks)),
  );
  return box;
}

function labelled(image, onLabel) {
  const right = !isWrong(image);
  const nothing = image.label.text === "";
  const key = nothing ? "was_nothing" : right ? "was_right" : "was_wrong";
  return make(
    "div",
    { class: "done" },
    mark(right ? "read" : "not_a_digit"),
    make("span", {}, say(key, { text: image.label.text })),
    make(
      "button",
      { type: "button", onclick: () => onLabel(null) },
      say("undo"),
      " ",
      make("kbd", {}, "U"),
    ),
  );
}

function choices(image, classes, onLabel, asks) {
  const hasAnswer = hasText(image);
  const row = make("div", { class: "row" });
  if (hasAnswer)
    row.append(
      make(
        "button",
        { type: "button", class: "main right", onclick: () => onLabel(image.reading.text) },
        say("right"),
        " ",
        make("kbd", {}, "Enter"),
      ),
    );
  row.append(
    make(
      "button",
      { type: "button", class: "nothing", onclick: () => onLabel("") },
      say("no_digit"),
      " ",
      make("kbd", {}, "N"),
    ),
  );
  const long = classes.some((name) => name.length > 2) ? "digits long" : "digits";
  const digits = make("div", { class: long, role: "group", "aria-label": say("it_was") });
  for (const name of classes)
    digits.append(
      make(
        "button",
        {
          type: "button",
          "aria-label": say("it_was_a", { text: name }),
          onclick: () => onLabel(name),
        },
        name,
      ),
    );
  const few = isSingle(image) && classes.length <= MAX_BUTTONS;
  const question = say(asks ? "asked" : hasAnswer ? "is_it_right" : "what_is_it");
  return [
    make("p", { class: asks ? "note" : "quiet" }, question),
    few ? digits : "",
    row,
    textField(image, classes, onLabel),
  ];
}

/** The text field, open for several digits or many classes (with a list), else behind a link. */
function textField(image, classes, onLabel) {
  const many = classes.length > MAX_BUTTONS;
  const field = make("input", {
    type: "text",
    autocomplete: "off",
    maxlength: 200,
    size: 14,
    value: isSingle(image) ? "" : image.reading.text,
    "aria-label": say("true_text"),
    ...(many ? { list: "class-names", placeholder: say("search_class") } : {}),
  });
  const save = make("button", { type: "submit" }, say("save"));
  const form = make("form", { class: "row" }, field, save, many ? classNames(classes) : "");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim()) onLabel(field.value.trim());
  });
  if (many || !isSingle(image)) return form;
  return make("details", {}, make("summary", {}, say("several")), form);
}

/** The names of the classes, searched by the browser during typing. */
function classNames(classes) {
  const options = classes.map((name) => make("option", { value: name }));
  return make("datalist", { id: "class-names" }, ...options);
}

/** The card in `place`; `onLabel(image, text)` gives a label: "" for no digit, null for none. */
export class Card {
  constructor(place, { classes, onLabel, onChoose = null, withPicture = true }) {
    this.place = place;
    this.classes = classes;
    this.onLabel = onLabel;
    this.onChoose = onChoose;
    this.withPicture = withPicture;
    this.image = null;
    this.state = {};
    this.empty = [...place.children];
  }

  show(image) {
    const isSame =
      this.image && image.id === this.image.id && image.preview?.url === this.image.preview?.url;
    if (!isSame) this.state = { chosen: 0 };
    this.image = image;
    this.draw();
  }

  /** Show the initial content instead of a picture. */
  clear() {
    this.image = null;
    this.place.dataset.id = "";
    this.place.replaceChildren(...this.empty);
  }

  draw() {
    const { image, state } = this;
    const redraw = () => this.draw();
    const choose = (at) => {
      state.chosen = at;
      if (this.onChoose) this.onChoose(at);
      else redraw();
    };
    const key = image.id ?? "";
    const open = $(".why", this.place)?.open && this.place.dataset.id === key;
    const focused = this.place.contains(document.activeElement);
    const draft = this.draft(key);
    this.place.dataset.id = key;
    const canLabel = image.state !== "pending";
    this.place.replaceChildren(
      this.summary(choose),
      canLabel ? this.truth() : "",
      ...this.items(redraw, choose),
    );
    const box = $(".why", this.place);
    if (open && box) box.open = true;
    if (focused) this.place.focus({ preventScroll: true }); // its element was replaced
    if (draft) this.resume(draft);
  }

  /** The text being typed for this image; null without one. */
  draft(key) {
    const field = $(".truth input", this.place);
    if (!field || !key || this.place.dataset.id !== key) return null;
    const isFocused = document.activeElement === field;
    if (!isFocused && field.value === field.defaultValue) return null;
    return { isFocused, value: field.value, start: field.selectionStart, end: field.selectionEnd };
  }

  /** Restore a draft after drawing the card again, which each event of its image does. */
  resume({ isFocused, value, start, end }) {
    const field = $(".truth input", this.place);
    if (!field) return;
    field.value = value;
    const details = field.closest("details");
    if (details) details.open = true;
    if (!isFocused) return;
    field.focus({ preventScroll: true });
    field.setSelectionRange(start, end);
  }

  truth() {
    const { image, classes } = this;
    const onLabel = (text) => this.onLabel(image, text);
    return truth(image, { classes, onLabel, asks: Boolean(image.ask) });
  }

  summary(choose) {
    const { image, state } = this;
    const text = answer(image);
    const long = text.length > 12 ? " longer" : text.length > 3 ? " long" : "";
    const none = image.state !== "read" || text === "∅" || text === "✕" ? " none" : "";
    const shown = text.replaceAll("/", "\n");
    const words = make(
      "div",
      {},
      make("p", { class: `answer${long}${none}`, "data-answer": text }, shown),
      make("p", {}, verdict(image)),
    );
    const note = this.note();
    if (note) words.append(make("p", { class: "small quiet" }, note));
    if (image.note) words.append(make("p", { class: "small note", role: "status" }, image.note));
    const hasPicture = this.withPicture && (image.id || image.preview);
    return make(
      "div",
      { class: "summary" },
      hasPicture ? picture(image, state.chosen, choose) : "",
      words,
    );
  }

  /** The confidence of the whole answer, or the reason why there is none. */
  note() {
    const { image } = this;
    if (image.state === "failed") return image.error ?? "";
    if (image.state !== "read") return "";
    const { verdict: name, confidence } = image.reading;
    return ["read", "unsure"].includes(name) ? sureness(confidence) : say(`about_${name}`);
  }

  items(redraw, choose) {
    const { image, state } = this;
    if (image.state !== "read" || !image.reading.items.length) return [];
    state.chosen = Math.min(state.chosen, image.reading.items.length - 1);
    const several = image.reading.items.length > 1;
    return [...(several ? [picks(image, state, choose)] : []), ...detail(image, state, redraw)];
  }
}
