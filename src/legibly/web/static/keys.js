// What a key means on the page to write on: it acts on what the sheet shows, never on another
// picture. Pure, so that it is tested without a browser.

/**
 * @typedef {"empty" | "unread" | "read"} Ink What lies on the sheet and is not stored yet.
 * @typedef {{ state: string, label: object | null, reading: { text: string } | null }} Shown
 * @typedef {{ action: "finish" | "label", text?: string }} Action
 */

/** The text of the label that a key gives: a class, "" for "no digit here"; undefined for others.
 * @param {string} key
 * @param {string[]} classes
 * @returns {string | undefined}
 */
export function labelOf(key, classes) {
  if (classes.includes(key)) return key;
  const pressed = key.toLowerCase();
  const name = classes.find((other) => other.toLowerCase() === pressed);
  return name ?? (pressed === "n" ? "" : undefined);
}

/** Finish the drawing (with a label, where the text is known), label the picture, or nothing.
 * `shown` is the picture that was chosen; null where none was, or its answer is not there yet.
 * @param {string} key
 * @param {{ ink: Ink, shown: Shown | null, classes: string[] }} page
 * @returns {Action | null}
 */
export function keyAction(key, { ink, shown, classes }) {
  const text = labelOf(key, classes);
  if (ink === "unread") {
    if (key === "Enter") return { action: "finish" };
    return text === undefined ? null : { action: "finish", text };
  }
  if (!shown || shown.state === "pending") return null;
  const answer = shown.reading?.text || undefined;
  if (ink === "read") {
    if (key === "Enter") return { action: "finish", text: answer };
    return text === undefined ? null : { action: "finish", text };
  }
  if (key === "Enter") return answer && !shown.label ? { action: "label", text: answer } : null;
  return text === undefined ? null : { action: "label", text };
}
