// One picture's answer: what was read, how surely, what the model saw and why, and the place to say
// what is true.
import * as api from "./api.js";
import { $, make, mark, number, percent, say } from "./dom.js";

const KINDS = ["read", "unsure", "blank", "not_a_digit", "unknown", "failed", "pending"];
export const kind = (image) => (image.state === "read" ? image.reading.verdict : image.state);

/** What stands where the answer stands; a predicted 0 is an answer like any other. */
export function answer(image) {
  if (image.state !== "read") return image.state === "failed" ? "–" : "…";
  const { verdict, text } = image.reading;
  if (verdict === "blank") return "∅";
  return text === "" || (verdict !== "read" && verdict !== "unsure") ? "✕" : text;
}

/** Confidence in words: how many of such answers are wrong. Of a thousand, for no test has shown
 * more exactly. */
export function sureness(confidence) {
  const base = 1000;
  const count = Math.max(1, Math.round((1 - confidence) * base));
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

export const wrong = (image) =>
  Boolean(image.label && image.reading && image.label.text !== image.reading.text);

/** A small picture with its answer, as a link to all about it. */
export function shot(image, { lazy = true } = {}) {
  const name = kind(image);
  const truth = image.label ? (wrong(image) ? `→ ${image.label.text || "∅"}` : "✓") : "";
  const title = [
    answer(image),
    say(`verdict_${name}`),
    image.label ? say("said_true", { text: image.label.text }) : "",
    image.name ?? "",
  ];
  return make(
    "a",
    {
      class: `shot${wrong(image) ? " wrong" : ""}`,
      href: `/images/${image.id}`,
      title: image.name,
      "aria-label": title.filter(Boolean).join(", "),
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
      { class: `line ${name}` },
      mark(name),
      make("span", {}, answer(image)),
      make("small", { class: "true" }, truth),
    ),
  );
}

function boxes(image, chosen, choose) {
  const svg = make("svg", {
    viewBox: `0 0 ${image.width} ${image.height}`,
    preserveAspectRatio: "xMidYMid meet",
    "aria-hidden": "true",
  });
  image.reading.items.forEach((item, at) => {
    const [x, y, width, height] = item.box;
    const names = [item.confidence < 0.9 ? "unsure" : "", at === chosen ? "on" : ""];
    svg.append(
      make("rect", {
        x,
        y,
        width,
        height,
        class: names.join(" ").trim(),
        onclick: () => choose(at),
      }),
    );
  });
  return svg;
}

function picture(image, chosen, choose) {
  const wide = image.width && image.width / image.height > 2.2;
  const frame = make("figure", { class: wide ? "picture wide" : "picture" });
  frame.append(
    make("img", {
      src: api.picture(image.id, 640),
      alt: say("picture_of", { name: image.name ?? say("a_picture") }),
      width: image.width || 280,
      height: image.height || 280,
      decoding: "async",
    }),
  );
  if (image.reading?.items.length && image.width) frame.append(boxes(image, chosen, choose));
  return frame;
}

function bars(item, all) {
  const sorted = Object.entries(item.probabilities).sort((a, b) => b[1] - a[1]);
  const list = make("ul", { class: "bars" });
  for (const [name, share] of all ? sorted : sorted.slice(0, 3)) {
    const fill = make("span");
    fill.style.transform = `scaleX(${share})`;
    list.append(
      make(
        "li",
        {},
        make("b", {}, name === "not_a_digit" ? "✕" : name),
        make("i", { "aria-hidden": "true" }, fill),
        make("em", {}, percent(share)),
      ),
    );
  }
  return list;
}

function saw(image, chosen) {
  const source = api.input(image.id, chosen);
  return make(
    "figure",
    { class: "saw" },
    make("img", { src: source, alt: say("saw_alt"), width: 112, height: 112 }),
    make("figcaption", {}, say("saw")),
  );
}

function why(image, chosen, item) {
  const inside = make("div", { class: "inside" });
  const box = make("details", { class: "why" }, make("summary", {}, say("why")), inside);
  box.addEventListener("toggle", () => {
    if (!box.open || inside.firstChild) return;
    const rival = item.confused_with ?? "";
    const shown = make("img", {
      src: api.explanation(image.id, chosen),
      alt: say("why_alt", { label: item.label }),
      width: 168,
      height: 168,
    });
    shown.onerror = () => inside.replaceChildren(make("p", { class: "quiet" }, say("why_missing")));
    const told = make("span");
    api
      .why(image.id, chosen)
      .then((why) => why.sentence && told.append(why.sentence, make("br")))
      .catch(() => {});
    const text = make(
      "p",
      { class: "small" },
      told,
      make("span", { class: "swatch" }),
      " ",
      say("why_for", { label: item.label }),
    );
    if (rival)
      text.append(
        make("br"),
        make("span", { class: "swatch rival" }),
        " ",
        say("why_against", { rival }),
      );
    if (item.legibility !== null && item.legibility !== undefined)
      text.append(make("br"), say("legibility", { percent: percent(item.legibility) }));
    inside.append(shown, text);
  });
  return box;
}

/** Whether the model that is in use read this picture: only it can show what it saw and why it
 * answered so. */
const current = ({ reading: { model } }) =>
  `${model.name}@${model.version}` === document.body.dataset.model;

function detail(image, state, again) {
  const item = image.reading.items[state.chosen];
  const more = make(
    "button",
    {
      type: "button",
      class: "link",
      "aria-expanded": String(Boolean(state.all)),
      onclick: () => ((state.all = !state.all), again()),
    },
    say(state.all ? "fewer" : "all_probabilities"),
  );
  const left = make(
    "div",
    {},
    bars(item, state.all),
    Object.keys(item.probabilities).length > 3 ? more : null,
  );
  if (!current(image))
    return [
      make("div", { class: "detail" }, left),
      make("p", { class: "quiet small" }, say("other_model")),
    ];
  return [
    make("div", { class: "detail" }, left, saw(image, state.chosen)),
    why(image, state.chosen, item),
  ];
}

/** How many items each row of a reading has, as far as its text tells. */
function rows({ text, items }) {
  const lengths = text.split("/").map((row) => row.replaceAll(" ", "").length);
  const fits =
    items.every((item) => item.label.length === 1) &&
    lengths.every(Boolean) &&
    lengths.reduce((sum, length) => sum + length, 0) === items.length;
  return fits ? lengths : [];
}

function picks(image, state, again) {
  const box = make("div", { class: "items", role: "group", "aria-label": say("items") });
  const lengths = rows(image.reading);
  let row,
    left = 0;
  image.reading.items.forEach((item, at) => {
    if (left === 0) (box.append((row = make("div"))), (left = lengths.shift() ?? Infinity));
    left--;
    row.append(
      make(
        "button",
        {
          type: "button",
          class: item.confidence < 0.9 ? "unsure" : "",
          "aria-pressed": String(at === state.chosen),
          onclick: () => ((state.chosen = at), again()),
        },
        item.label,
      ),
    );
  });
  return box;
}

const single = (image) => !image.reading || image.reading.text.length <= 1;

function truth(image, classes, onLabel, asks) {
  const box = make("div", { class: "truth" });
  if (image.label) {
    const right = !wrong(image);
    const text = image.label.text === "" ? say("nothing") : image.label.text;
    box.append(
      make(
        "div",
        { class: "done" },
        mark(right ? "read" : "not_a_digit"),
        make("span", {}, say(right ? "was_right" : "was_wrong", { text })),
        make(
          "button",
          { type: "button", onclick: () => onLabel(null) },
          say("undo"),
          " ",
          make("kbd", {}, "U"),
        ),
      ),
    );
    return box;
  }
  const row = make("div", { class: "row" });
  const read =
    image.reading &&
    image.reading.text !== "" &&
    ["read", "unsure"].includes(image.reading.verdict);
  if (read)
    row.append(
      make(
        "button",
        { type: "button", class: "main right", onclick: () => onLabel(image.reading.text) },
        say("right"),
        " ",
        make("kbd", {}, "Enter"),
      ),
    );
  const question = say(asks ? "asked" : read ? "is_it_right" : "what_is_it");
  box.append(make("p", { class: asks ? "note" : "quiet" }, question), row);
  const digits = make("div", { class: "digits", role: "group", "aria-label": say("it_was") });
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
  if (single(image) && classes.length <= 12) row.append(digits);
  row.append(written(image, onLabel));
  return box;
}

/** The text field, for several digits: open where the reading has several, behind a word where it
 * has one. */
function written(image, onLabel) {
  const field = make("input", {
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    maxlength: 200,
    size: 14,
    value: single(image) ? "" : image.reading.text,
    "aria-label": say("true_text"),
  });
  const form = make(
    "form",
    { class: "row" },
    field,
    make("button", { type: "submit" }, say("save")),
  );
  form.addEventListener(
    "submit",
    (event) => (event.preventDefault(), field.value.trim() && onLabel(field.value.trim())),
  );
  if (!single(image)) return form;
  return make("details", {}, make("summary", {}, say("several")), form);
}

/** The card in `place`; `onLabel(image, text)` gives or, with null, takes back the true text. */
export class Card {
  constructor(place, { classes, onLabel }) {
    Object.assign(this, { place, classes, onLabel, image: null, state: {} });
  }

  show(image) {
    if (image.id !== this.image?.id) this.state = { chosen: 0 };
    this.image = image;
    this.draw();
  }

  draw() {
    const { image, state } = this;
    const again = () => this.draw();
    const choose = (at) => ((state.chosen = at), again());
    const open = $(".why", this.place)?.open && this.place.dataset.id === image.id;
    const focused = this.place.contains(document.activeElement);
    this.place.dataset.id = image.id;
    this.place.replaceChildren(
      this.said(choose),
      ...this.found(again),
      truth(image, this.classes, (text) => this.onLabel(image, text), this.asks?.has(image.id)),
    );
    const box = $(".why", this.place);
    if (open && box) box.open = true;
    if (focused) this.place.focus({ preventScroll: true }); // what had it is gone
  }

  said(choose) {
    const { image, state } = this;
    const text = answer(image);
    const long = text.length > 12 ? " longer" : text.length > 3 ? " long" : "";
    const none = image.state !== "read" || text === "∅" || text === "✕" ? " none" : "";
    const words = make(
      "div",
      {},
      make("p", { class: `answer${long}${none}`, "data-answer": text }, text.replaceAll("/", "\n")),
      make("p", {}, verdict(image)),
    );
    if (image.state === "failed") words.append(make("p", { class: "small" }, image.error ?? ""));
    else if (image.reading)
      words.append(
        make(
          "p",
          { class: "small quiet" },
          ["read", "unsure"].includes(image.reading.verdict)
            ? sureness(image.reading.confidence)
            : say(`about_${image.reading.verdict}`),
        ),
      );
    return make("div", { class: "said" }, picture(image, state.chosen, choose), words);
  }

  found(again) {
    const { image, state } = this;
    if (!image.reading?.items.length) return [];
    state.chosen = Math.min(state.chosen, image.reading.items.length - 1);
    return [
      ...(image.reading.items.length > 1 ? [picks(image, state, again)] : []),
      ...detail(image, state, again),
    ];
  }
}
