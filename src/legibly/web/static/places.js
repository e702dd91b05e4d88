// Where somebody came from to an image: the list that they were in, so that the image's page has a
// previous and a next one, and a way back to the same place.
const KEY = "legibly-list";

/** Note the list before an image of it is opened; `back` is the address of the list.
 * @param {string[]} ids
 * @param {string} back */
export function openFrom(ids, back) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ids, back }));
  } catch {
    /* no storage in this browser: the image stands alone */
  }
}

/** The list that an image was opened from; null where it was opened by itself.
 * @param {string} id
 * @returns {{ ids: string[], back: string, at: number } | null} */
export function listOf(id) {
  const { ids = [], back = "/history" } = JSON.parse(sessionStorage.getItem(KEY) || "{}");
  const at = ids.indexOf(id);
  return at < 0 ? null : { ids, back, at };
}
