// The meaning of keys on the Classify page: they act on what the sheet shows, never on another
// picture. Pure functions, tested without a browser.

/**
 * @typedef {"empty" | "unread" | "read"} Ink The unstored drawing on the sheet.
 * @typedef {{ state: string, label: object | null, reading: { text: string } | null }} Shown
 * @typedef {{ action: "finish" | "label", text?: string }} Action
 */

/** The label of a key: a class, "" for "no digit here"; undefined for other keys.
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

/** Finish the drawing (with a label, if the text is known), label the picture, or do nothing.
 * `shown` is the chosen picture; null without one, or before its answer.
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
