// Sends labels. Those of one image arrive in their order even on a slow connection, and pages show
// the last one regardless of news in the meantime.
import * as api from "./api.js";

const SLOW_MS = 2000; // a slower label may be lost when the page is left

const now = () => performance.now();
const entries = new Map(); // id → { count, label, sent, since }

const put = (id, label, options) =>
  api.label(id, label?.text ?? null, { boxes: label?.boxes, ...options });

/** Send a label, `{ text, boxes }` or null, after the earlier ones of its image; resolves to the
 * server's version of the image. */
export function send(id, label) {
  const entry = entries.get(id) ?? { count: 0, sent: Promise.resolve(), since: now() };
  entries.set(id, entry);
  entry.count++;
  entry.label = label;
  entry.sent = sendAfter(entry.sent, id, label);
  return entry.sent;
}

async function sendAfter(earlier, id, label) {
  await earlier.catch(() => {}); // its own caller gets the error
  try {
    return await put(id, label);
  } finally {
    if (--entries.get(id).count === 0) entries.delete(id);
  }
}

/** An image with the label that is being sent. */
export const withLabel = (image) =>
  image && entries.has(image.id) ? { ...image, label: entries.get(image.id).label } : image;

/** Wait for the labels of an image. */
export const settled = async (id) => entries.get(id)?.sent.catch(() => {});

// A request in progress continues after the page; labels waiting behind it are sent now.
addEventListener("pagehide", () => {
  for (const [id, { count, label }] of entries)
    if (count > 1) put(id, label, { tries: 1 }).catch(() => {});
});
addEventListener("beforeunload", (event) => {
  if ([...entries.values()].some(({ since }) => now() - since > SLOW_MS)) event.preventDefault();
});
