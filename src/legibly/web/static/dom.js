// The document: find elements, make elements, words in the page's language, messages, keys.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const words = JSON.parse($("#words").textContent);

/** The words of the page's language; `{name}` is filled from values, and `{name:page|pages}` is the
 * first word for 1, else the second. */
export function say(key, values = {}) {
  return (words[key] ?? key)
    .replace(/\{(\w+):(.*?)\|(.*?)\}/g, (_, name, one, other) =>
      String(values[name]) === "1" ? one : other,
    )
    .replace(/\{(\w+)\}/g, (match, name) => values[name] ?? match);
}

/** An element. Text goes in as text, so that no name of a file can become markup. */
export function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "use", "rect"].includes(tag);
  const element = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The shape of a verdict: a tick, a question mark, an empty circle, a cross. */
export function mark(kind) {
  // lighter than <use> in a long gallery
  const shapes = [...($(`#mark-${kind}`)?.children ?? [])].map((shape) => shape.cloneNode());
  return make("svg", { class: "mark", viewBox: "0 0 24 24", "aria-hidden": "true" }, ...shapes);
}

const language = document.documentElement.lang || "en";
const decimal = new Intl.NumberFormat(language, {
  maximumFractionDigits: 1,
  minimumFractionDigits: 1,
});
const integer = new Intl.NumberFormat(language);
export const number = (value) => integer.format(value);
/** A share as per cent, rounded down, so that nothing short of certain reads 100. */
export const percent = (share) => decimal.format(Math.floor(share * 1000) / 10) + " %";

// The reader's region, where the browser names one for the page's language: days before months.
const region = navigator.languages?.find((name) => name.startsWith(language)) ?? language;
const moments = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeZone: "UTC" });
/** A moment in the reader's zone; a day without a time is the same day everywhere. */
export const when = (text) => (text.length > 10 ? moments : days).format(new Date(text));

/** Name each cell of a table by its column, for phones, where each row is a card. Roles say what
 * it is: a browser takes a table that is laid out otherwise for no table. */
export function asCards(table) {
  const titles = $$("thead th", table).map((head) => head.textContent.trim());
  if (!titles.length || table.classList.contains("facts")) return;
  table.classList.add("cards");
  table.setAttribute("role", "table");
  $$("thead, tbody, tfoot", table).forEach((part) => part.setAttribute("role", "rowgroup"));
  $$("thead th", table).forEach((head) => head.setAttribute("role", "columnheader"));
  for (const row of $$("tr", table)) {
    row.setAttribute("role", "row");
    if (row.parentElement.tagName === "THEAD") continue;
    [...row.cells].forEach((cell, at) => {
      cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
      if (cell.tagName === "TD" && cell.textContent.trim()) cell.dataset.title ??= titles[at] ?? "";
    });
  }
}

/** Ask a question; whether the answer was yes. */
export function confirmed(question, { yes = say("ask_yes"), no = say("ask_no") } = {}) {
  return new Promise((resolve) => {
    const dialog = make(
      "dialog",
      { "aria-label": question },
      make("p", { class: "lead" }, question),
      make(
        "form",
        { method: "dialog", class: "row" },
        make("button", { class: "main", value: "yes" }, yes),
        make("button", { value: "no" }, no),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Forms whose `data-ask`, or that of the chosen option, is a question are sent after a yes. */
export function askFirst() {
  document.addEventListener("submit", async (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const question =
      form.dataset.ask ?? form.querySelector("option:checked[data-ask]")?.getAttribute("data-ask");
    if (!question || form.method === "dialog") return;
    event.preventDefault();
    if (await confirmed(question)) form.submit();
  });
}

/** A message that goes by itself; with an action it stays longer.
 * @param {string} text
 * @param {{ action?: string, run?: () => unknown, seconds?: number }} options */
export function toast(text, { action, run, seconds = action ? 12 : 6 } = {}) {
  const box = make("div", { class: "toast" }, make("span", {}, text));
  const close = () => box.remove();
  if (action)
    box.append(make("button", { type: "button", onclick: () => (close(), run()) }, action));
  $(".toasts").append(box);
  setTimeout(close, seconds * 1000);
  return close;
}

export const keysEnabled = () => localStorage.getItem("legibly-keys") !== "off";

/** One handler for the page's single keys; silent in fields, and where keys are switched off. */
export function onKey(handle) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const inField = target.closest(
      "input:not([type=checkbox]), textarea, select, [contenteditable]",
    );
    if (event.defaultPrevented || event.isComposing || event.altKey || inField || $("dialog[open]"))
      return;
    const command = event.ctrlKey || event.metaKey;
    if (!command && !keysEnabled()) return;
    if (event.key === "Enter" && target.closest("button, a, summary, label")) return;
    if (handle(event, command)) event.preventDefault();
  });
}

export const debounce = (run, milliseconds) => {
  let timer;
  return (...values) => (
    clearTimeout(timer),
    (timer = setTimeout(() => run(...values), milliseconds))
  );
};
