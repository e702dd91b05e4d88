// Labels on their way to the server. Those of one image arrive in the order in which they were
// given, however slow the line is, and pages show the last of them whatever news comes meanwhile.
import * as api from "./api.js";

const SLOW_MS = 2000; // a label that takes longer may be lost when its page is left

const now = () => performance.now();
const entries = new Map(); // id → { count, label, sent, since }

const put = (id, label, options) =>
  api.label(id, label?.text ?? null, { boxes: label?.boxes, ...options });

/** Send a label, `{ text, boxes }` or null, after the earlier ones of its image; resolves to the
 * image as the server has it then. */
export function send(id, label) {
  const entry = entries.get(id) ?? { count: 0, sent: Promise.resolve(), since: now() };
  entries.set(id, entry);
  entry.count++;
  entry.label = label;
  entry.sent = sendAfter(entry.sent, id, label);
  return entry.sent;
}

async function sendAfter(earlier, id, label) {
  await earlier.catch(() => {}); // its own caller is told of it
  try {
    return await put(id, label);
  } finally {
    if (--entries.get(id).count === 0) entries.delete(id);
  }
}

/** An image with the label that is on its way. */
export const withLabel = (image) =>
  image && entries.has(image.id) ? { ...image, label: entries.get(image.id).label } : image;

/** Wait for the labels of an image. */
export const settled = async (id) => entries.get(id)?.sent.catch(() => {});

// A request on its way outlives the page; labels that wait behind one are sent now.
addEventListener("pagehide", () => {
  for (const [id, { count, label }] of entries)
    if (count > 1) put(id, label, { tries: 1 }).catch(() => {});
});
addEventListener("beforeunload", (event) => {
  if ([...entries.values()].some(({ since }) => now() - since > SLOW_MS)) event.preventDefault();
});
