// Uploads several pictures as a named batch; labels and writers come from files beside the
// pictures or from their names.
import { $, confirmed, number, say, toast, when } from "./dom.js";
import { areClassFolders, factsOf, fromCoco, fromCsv, fromPattern, isIdx } from "./labels.js";

const PICTURE = /\.(png|jpe?g|jfif|webp|gif|bmp|tiff?|hei[cf]|avif|pdf)$/i;
const isPicture = (file) => file.type.startsWith("image/") || PICTURE.test(file.name);
const isTable = ({ name }) => /\.(csv|tsv|json)$/i.test(name);
const pathOf = (file) => (file.path ?? file.webkitRelativePath ?? "").replace(/^\//, "");

/** A UUIDv7 (RFC 9562), so that batches sort by their time. */
export function batchId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  const milliseconds = Date.now();
  view.setUint32(0, Math.floor(milliseconds / 2 ** 16));
  view.setUint16(4, milliseconds % 2 ** 16);
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The pictures among files as entries of the queue: `{ file, name, label, writer, batch }`.
 * `fields` are the form's values for all of them.
 * @param {File[]} files
 * @param {{ classes: string[],
 *   fields?: { name?: string, writer?: string, pattern?: string } }} options */
export async function entriesOf(files, { classes, fields = {} }) {
  const labels = await labelsOfIdx(files);
  const pictures = [...files.filter(isPicture), ...labels.keys()];
  const others = files.filter((file) => !isPicture(file) && !isIdx(file.name));
  const tables = [];
  for (const file of others.filter(isTable)) {
    const table = await readTable(file, pictures);
    if (table) tables.push(table);
    else toast(say("not_labels", { name: file.name }));
  }
  const isOfFolders =
    tables.length === 0 &&
    areClassFolders(pictures.map(pathOf), classes) &&
    (await agreed(pictures.length));
  const byName = fromPattern(fields.pattern ?? "");
  const batch = pictures.length > 1 ? { id: batchId(), name: nameOf(pictures, fields) } : undefined;
  const entries = pictures.map((file) => {
    const path = pathOf(file) || file.name;
    const facts = Object.assign({}, byName?.(file.name), ...tables.map((t) => factsOf(t, path)));
    if (labels.get(file)) facts.label = labels.get(file);
    if (isOfFolders) facts.label = path.split("/").at(-2);
    return { file, name: file.name, writer: fields.writer || undefined, ...facts, batch };
  });
  const all = [...entries, ...refusedBy(others)];
  if (!tables.length && !labels.size) return all;
  const labelled = entries.filter(({ label }) => label).length;
  toast(say("labels_beside", { count: number(labelled), total: number(entries.length) }));
  return all;
}

/** The pictures of idx files with their labels. */
async function labelsOfIdx(files) {
  if (!files.some(({ name }) => isIdx(name))) return new Map();
  const { picturesOfIdx } = await import("./idx_files.js");
  return new Map((await picturesOfIdx(files)).map(({ file, label }) => [file, label]));
}

/** Other files are sent if they were chosen individually, so that the server says why it cannot
 * read them; those of a folder are left out. */
const refusedBy = (others) =>
  others
    .filter((file) => !pathOf(file) && !isTable(file))
    .map((file) => ({ file, name: file.name }));

async function readTable(file, pictures) {
  const text = await file.text();
  if (!/\.json$/i.test(file.name)) return fromCsv(text);
  try {
    return fromCoco(JSON.parse(text), await turnOf(pictures));
  } catch {
    return null;
  }
}

const HEAD_BYTES = 256 * 1024; // EXIF is before the pixels
const lastOf = (path) => String(path).split("/").at(-1);

/** A function that turns boxes like their pictures, if EXIF turns these. */
async function turnOf(pictures) {
  const { frameOf, upright } = await import("./jpeg_frame.js");
  const frames = new Map();
  for (const picture of pictures) {
    const frame = frameOf(await picture.slice(0, HEAD_BYTES).arrayBuffer());
    if (frame && frame.orientation > 1) frames.set(picture.name, frame);
  }
  return (box, { file_name, width, height, legibly_id }) => {
    const frame = frames.get(lastOf(file_name));
    if (!frame || legibly_id) return box; // boxes of our exports are upright
    const isUpright =
      frame.orientation >= 5 &&
      width === frame.height &&
      height === frame.width &&
      width !== height;
    return isUpright ? box : upright(box, frame);
  };
}

function nameOf(pictures, fields) {
  if (fields.name) return fields.name;
  const folder = pathOf(pictures[0]).split("/").at(0);
  const isInFolder = pathOf(pictures[0]).includes("/");
  const values = { count: number(pictures.length), when: when(new Date().toISOString()) };
  return isInFolder ? folder : say("batch_name", values);
}

/** Ask whether the names of folders are the true labels. */
const agreed = (count) =>
  confirmed(say("class_folders", { count: number(count) }), {
    yes: say("class_folders_yes"),
    no: say("class_folders_no"),
  });

/** The values of the form for all pictures, remembered for the next upload. */
export function startFields(form) {
  if (!form) return () => ({});
  const KEY = "legibly-upload-fields";
  const earlier = JSON.parse(localStorage.getItem(KEY) || "{}");
  for (const name of ["writer", "pattern"]) form.elements[name].value = earlier[name] ?? "";
  form.addEventListener("input", () => {
    const { writer, pattern } = form.elements;
    localStorage.setItem(KEY, JSON.stringify({ writer: writer.value, pattern: pattern.value }));
    showExample();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  const showExample = () => {
    const facts = fromPattern(form.elements.pattern.value)?.("7_ada_0131.png");
    const { label = "–", writer = "–" } = facts ?? {};
    $("output", form).textContent = facts ? say("pattern_example", { label, writer }) : "";
  };
  showExample();
  return () => {
    const values = Object.fromEntries(new FormData(form));
    form.elements.name.value = "";
    return values;
  };
}
