// @ts-check
// The items of a reading within its text, so that one of them is corrected in place. Pure, so that
// it is tested without a browser.

/** @typedef {{ label: string, kind?: string }} Item */

/** Where in a text the label of each item stands; empty where they do not lie side by side.
 * @param {string} text
 * @param {Item[]} items
 * @returns {number[]} */
export function placesOf(text, items) {
  const digits = items.filter(({ kind }) => kind !== "separator");
  const places = [...text].flatMap((sign, at) => (/[\s/.,:+\-=()]/.test(sign) ? [] : [at]));
  return places.length === digits.length ? places : [];
}

/** The text with one item as another label; "" takes it out. Undefined where its place is unknown.
 * @param {string} text
 * @param {Item[]} items
 * @param {number} at
 * @param {string} label
 * @returns {string | undefined} */
export function corrected(text, items, at, label) {
  const place = placesOf(text, items)[at];
  if (place === undefined) return undefined;
  const signs = [...text];
  signs[place] = label;
  return signs.join("").replace(/ {2,}/g, " ").replace(/^[ /]+|[ /]+$/g, "");
}
