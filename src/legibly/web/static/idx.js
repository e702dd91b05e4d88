// Pairs of idx files, as MNIST has them: pictures in one file, labels in another. Pure, so that it is
// tested without a browser.

const IMAGES = 0x803;
const LABELS = 0x801;
const HEAD = { [IMAGES]: 16, [LABELS]: 8 };

/** The name of the file of labels that belongs to a file of pictures.
 * @param {string} name */
export const labelsName = (name) =>
  name
    .replace(/\.gz$/i, "")
    .replace(/images/i, "labels")
    .replace(/idx3/i, "idx1");

/** The content of an idx file; null for other files and for truncated ones.
 * @param {ArrayBuffer} buffer
 * @returns {{ count: number, height: number, width: number, values: Uint8Array } | null} */
export function parseIdx(buffer) {
  const view = new DataView(buffer);
  const head = buffer.byteLength >= 8 ? HEAD[view.getUint32(0)] : undefined;
  if (head === undefined || buffer.byteLength < head) return null;
  const count = view.getUint32(4);
  const [height, width] = head === HEAD[IMAGES] ? [view.getUint32(8), view.getUint32(12)] : [1, 1];
  if (buffer.byteLength < head + count * height * width) return null;
  return { count, height, width, values: new Uint8Array(buffer, head) };
}

/** One picture as the pixels of a canvas: grey, opaque.
 * @param {{ height: number, width: number, values: Uint8Array }} images
 * @param {number} at */
export function pixelsOf({ height, width, values }, at) {
  const size = height * width;
  const pixels = new Uint8ClampedArray(size * 4);
  for (let place = 0; place < size; place++) {
    const value = values[at * size + place];
    pixels.set([value, value, value, 255], place * 4);
  }
  return pixels;
}
