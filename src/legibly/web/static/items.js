// The items of a reading within its text, so that one of them is corrected in place. Pure, so that
// it is tested without a browser.

/** @typedef {{ label: string, kind?: string, box?: number[], at?: number }} Item */
/** @typedef {{ label: string, box: number[], at?: number }} Placed a box with its label */

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
  return signs
    .join("")
    .replace(/ {2,}/g, " ")
    .replace(/^[ /]+|[ /]+$/g, "");
}

/** The text with a label more, at the place of a point of the picture in reading order; undefined
 * where the places of the others are unknown.
 * @param {string} text
 * @param {(Item & { box: number[] })[]} items
 * @param {{ x: number, y: number }} point
 * @param {string} label
 * @returns {string | undefined} */
export function inserted(text, items, point, label) {
  const digits = items.filter(({ kind }) => kind !== "separator");
  if (!digits.length) return label;
  const places = placesOf(text, items);
  if (!places.length) return undefined;
  /** @param {{ box: number[] }} item */
  const isInRow = ({ box: [, top, , height] }) =>
    point.y > top - height / 4 && point.y < top + (height * 5) / 4;
  const row = digits.flatMap((item, at) => (isInRow(item) ? [at] : []));
  const signs = [...text];
  if (!row.length) {
    const isAbove = digits.every(({ box: [, top] }) => point.y < top);
    return isAbove ? `${label}/${text}` : `${text}/${label}`;
  }
  const middle = (at) => digits[at].box[0] + digits[at].box[2] / 2;
  const before = row.filter((at) => middle(at) < point.x);
  const place = before.length ? places[before.at(-1)] + 1 : places[row[0]];
  signs.splice(place, 0, label);
  return signs.join("");
}

/** The share of two boxes that both of them cover.
 * @param {number[]} one
 * @param {number[]} other */
function overlap([x, y, width, height], [left, top, across, down]) {
  const shared =
    Math.max(0, Math.min(x + width, left + across) - Math.max(x, left)) *
    Math.max(0, Math.min(y + height, top + down) - Math.max(y, top));
  return shared / (width * height + across * down - shared);
}

const SAME = 0.3;

/** The boxes of an image in reading order: those that a person gave, else those of the reading.
 * `at` is the number of the item that was read there; -1 for none.
 * @param {{ reading?: any, label?: any }} image
 * @returns {Placed[]} */
export function boxesOf({ reading, label }) {
  const items = (reading?.items ?? []).map((item, at) => ({ ...item, at }));
  if (!label?.boxes) return items.filter(({ kind }) => kind !== "separator");
  return label.boxes.map((given) => {
    const shares = items.map((item) => overlap(item.box, given.box));
    const most = Math.max(0, ...shares);
    return { ...given, at: most > SAME ? shares.indexOf(most) : -1 };
  });
}

/** Boxes with the labels of a text, as the label of an image has them; undefined where the text has
 * not one sign for each of them.
 * @param {string} text
 * @param {Placed[]} boxes
 * @returns {{ box: number[], label: string }[] | undefined} */
export function labelBoxes(text, boxes) {
  const places = placesOf(text, boxes);
  if (places.length !== boxes.length) return undefined;
  const signs = [...text];
  return boxes.map(({ box }, at) => ({ box: box.map(Math.round), label: signs[places[at]] }));
}
