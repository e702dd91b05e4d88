// The pictures of idx files as files of their own, with the labels of the file beside them.
import { make, number, say, toast } from "./dom.js";
import { labelsName, parseIdx, pixelsOf } from "./idx.js";
import { isIdx } from "./labels.js";

const MAX_IMAGES = 10_000;

async function read(file) {
  const stream = /\.gz$/i.test(file.name)
    ? file.stream().pipeThrough(new DecompressionStream("gzip"))
    : file.stream();
  try {
    return parseIdx(await new Response(stream).arrayBuffer());
  } catch {
    return null;
  }
}

/** The pictures of the idx files among `files`, as `{ file, label }`. */
export async function picturesOfIdx(files) {
  const tables = new Map();
  for (const file of files.filter(({ name }) => isIdx(name))) {
    const table = await read(file);
    if (table) tables.set(file.name.replace(/\.gz$/i, ""), table);
    else toast(say("not_idx", { name: file.name }));
  }
  const pictures = [];
  for (const [name, images] of tables) {
    if (images.width === 1 && images.height === 1) continue;
    const labels = tables.get(labelsName(name));
    pictures.push(...(await picturesOf(name, images, labels?.values)));
  }
  return pictures;
}

async function picturesOf(name, images, labels) {
  const { width, height } = images;
  const count = Math.min(images.count, MAX_IMAGES);
  if (count < images.count)
    toast(say("idx_most", { count: number(count), total: number(images.count) }));
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  const pictures = [];
  for (let at = 0; at < count; at++) {
    context.putImageData(new ImageData(pixelsOf(images, at), width, height), 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const file = new File([blob], `${name}-${String(at).padStart(5, "0")}.png`, {
      type: blob.type,
    });
    pictures.push({ file, label: labels?.[at] === undefined ? undefined : String(labels[at]) });
  }
  return pictures;
}
