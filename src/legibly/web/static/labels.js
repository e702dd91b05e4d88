// Labels and writers that come beside pictures: a CSV file, COCO JSON, folders named by classes, or
// a pattern of file names. Pure, so that it is tested without a browser.

/** @typedef {{ box: number[], label: string }} Box
 * @typedef {{ label?: string, writer?: string, boxes?: Box[] }} Facts */

const FILE = ["file", "file_name", "filename", "image", "name", "path"];
const LABEL = ["label", "text", "digit", "class", "true_text"];
const WRITER = ["writer", "author", "person"];

/** The rows of a CSV text (RFC 4180); `;` and tabs separate, too.
 * @param {string} text
 * @returns {string[][]} */
export function csvRows(text) {
  const clean = text.replace(/^\ufeff/, "");
  const head = clean.split(/\r?\n/, 1)[0];
  const separator = [",", ";", "\t"].find((sign) => head.includes(sign)) ?? ",";
  const rows = [[""]];
  let isQuoted = false;
  for (let at = 0; at < clean.length; at++) {
    const sign = clean[at];
    const row = rows[rows.length - 1];
    if (sign === '"' && isQuoted && clean[at + 1] === '"') row[row.length - 1] += clean[++at];
    else if (sign === '"') isQuoted = !isQuoted;
    else if (isQuoted) row[row.length - 1] += sign;
    else if (sign === separator) row.push("");
    else if (sign === "\n") rows.push([""]);
    else if (sign !== "\r") row[row.length - 1] += sign;
  }
  return rows.filter((row) => row.some((cell) => cell.trim()));
}

/** What a table says of each file, by its name; null where it has no column of files.
 * @param {string} text
 * @returns {Map<string, Facts> | null} */
export function fromCsv(text) {
  const rows = csvRows(text);
  const names = (rows.shift() ?? []).map((name) => name.trim().toLowerCase());
  const column = (/** @type {string[]} */ wanted) =>
    names.findIndex((name) => wanted.includes(name));
  const places = { file: column(FILE), label: column(LABEL), writer: column(WRITER) };
  if (places.file < 0 || (places.label < 0 && places.writer < 0)) return null;
  const facts = new Map();
  for (const row of rows) {
    const cell = (/** @type {number} */ at) => row[at]?.trim() || undefined;
    facts.set(cell(places.file) ?? "", { label: cell(places.label), writer: cell(places.writer) });
  }
  return facts;
}

/** What COCO's `images`, `annotations` and `categories` say: the categories from left to right, or
 * the attribute `text` of an image; the boxes where they are those of the text; null for other
 * documents. `turn` brings a box of the file's pixels onto the upright picture.
 * @param {any} document
 * @param {(box: number[], image: any) => number[]} turn
 * @returns {Map<string, Facts> | null} */
export function fromCoco(document, turn = (box) => box) {
  const { images, annotations, categories } = document ?? {};
  if (![images, annotations, categories].every(Array.isArray)) return null;
  const names = new Map(categories.map(({ id, name }) => [id, String(name)]));
  const facts = new Map();
  for (const image of images) {
    const { id, file_name, text, writer } = image;
    const own = annotations
      .filter((annotation) => annotation.image_id === id)
      .map(({ category_id, bbox }) => ({
        category_id,
        bbox: bbox?.length === 4 && turn(bbox, image),
      }));
    own.sort((a, b) => (a.bbox?.[0] ?? 0) - (b.bbox?.[0] ?? 0));
    const labels = own.map(({ category_id }) => names.get(category_id) ?? "");
    const label = text ?? labels.join("");
    const boxes = boxesOfCoco(own, labels, label);
    facts.set(String(file_name), { label: label || undefined, writer: writer || undefined, boxes });
  }
  return facts;
}

/** The boxes of annotations, where there is one for each sign of the text. */
function boxesOfCoco(annotations, labels, text) {
  const boxes = annotations.map(({ bbox }, at) => ({
    box: bbox ? bbox.map(Math.round) : [],
    label: labels[at],
  }));
  const areBoxes = boxes.every(({ box }) => box.length === 4 && box[2] > 0 && box[3] > 0);
  const isText = labels.join("") === String(text).replace(/[ /]/g, "");
  return boxes.length && areBoxes && isText ? boxes : undefined;
}

/** A pattern such as `{label}_{writer}_*` as a function of a file's name without its ending; null
 * for a pattern without a place.
 * @param {string} pattern
 * @returns {((name: string) => Facts) | null} */
export function fromPattern(pattern) {
  if (!/\{(label|writer)\}/.test(pattern)) return null;
  const places = { "{label}": "(?<label>.+?)", "{writer}": "(?<writer>.+?)", "*": ".*?" };
  const source = pattern
    .trim()
    .split(/(\{label\}|\{writer\}|\*)/)
    .map((part) => places[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("");
  const expression = new RegExp(`^${source}$`);
  return (name) => ({ ...expression.exec(name.replace(/\.[^.]+$/, ""))?.groups });
}

/** The label of a file by the folder that it is in, where every folder is named like a class.
 * @param {string[]} paths
 * @param {string[]} classes
 * @returns {boolean} */
export function areClassFolders(paths, classes) {
  const folders = new Set(paths.map((path) => path.split("/").at(-2) ?? ""));
  return folders.size > 1 && [...folders].every((name) => classes.includes(name));
}

/** What is known of a file, by its path, by its name, or by the end of its path.
 * @param {Map<string, Facts>} facts
 * @param {string} path
 * @returns {Facts} */
export function factsOf(facts, path) {
  const parts = path.split("/");
  for (let at = 0; at < parts.length; at++) {
    const known = facts.get(parts.slice(at).join("/"));
    if (known) return known;
  }
  return {};
}

/** Whether a file is named like one of a pair of idx files.
 * @param {string} name */
export const isIdx = (name) => /idx[13](-|\.)ubyte(\.gz)?$/i.test(name);
