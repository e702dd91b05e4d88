// A drawing that was on the sheet when its page was left: noted here for the next page to send
// again, under the same name, in case that the request of the page itself was lost.
const KEY = "legibly-left";

/** The bytes of a data URI, at once: a page that is being left cannot wait. */
export function blobOf(uri) {
  const bytes = atob(uri.slice(uri.indexOf(",") + 1));
  return new Blob([Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))], { type: "image/png" });
}

/** Note a drawing. */
export function saveLeft(entry) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entry));
  } catch {
    /* no storage in this browser: the request of the page itself has to do */
  }
}

/** The drawing that was left with an earlier page, once, as an entry to deliver; null for none. */
export function takeLeft(owner) {
  const text = localStorage.getItem(KEY);
  if (!text) return null;
  const entry = JSON.parse(text);
  if (entry.owner !== owner) return null;
  localStorage.removeItem(KEY);
  const { png, once, name, writer, truth } = entry;
  return { blob: blobOf(png), once, name, writer, atUpload: truth, isLeft: true };
}
