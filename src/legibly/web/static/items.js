// The items of a reading and their places in its text, to correct a single one. Pure functions,
// tested without a browser.

/** @typedef {{ label: string, kind?: string, box?: number[], at?: number }} Item */
/** @typedef {{ label: string, box: number[], at?: number }} Placed a box with its label */

/** The position of each item's label in a text; empty if they do not follow each other.
 * @param {string} text
 * @param {Item[]} items
 * @returns {number[]} */
export function placesOf(text, items) {
  const digits = items.filter(({ kind }) => kind !== "separator");
  const places = [...text].flatMap((sign, at) => (/[\s/.,:+\-=()]/.test(sign) ? [] : [at]));
  return places.length === digits.length ? places : [];
}

/** The text with another label for one item; "" removes it. Undefined if its place is unknown.
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

/** The text with an added label, at the place of a point of the picture in reading order; undefined
 * if the places of the others are unknown.
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

/** The intersection over union of two boxes.
 * @param {number[]} one
 * @param {number[]} other */
function overlap([x, y, width, height], [left, top, across, down]) {
  const shared =
    Math.max(0, Math.min(x + width, left + across) - Math.max(x, left)) *
    Math.max(0, Math.min(y + height, top + down) - Math.max(y, top));
  return shared / (width * height + across * down - shared);
}

const SAME = 0.3;

/** The boxes of an image in reading order: a person's, else those of the reading.
 * `at` is the number of the item read there; -1 for none.
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

/** Boxes with the labels of a text; undefined unless the text has exactly one sign per box.
 * @param {string} text
 * @param {Placed[]} boxes
 * @returns {{ box: number[], label: string }[] | undefined} */
export function labelBoxes(text, boxes) {
  const places = placesOf(text, boxes);
  if (places.length !== boxes.length) return undefined;
  const signs = [...text];
  return boxes.map(({ box }, at) => ({ box: box.map(Math.round), label: signs[places[at]] }));
}
