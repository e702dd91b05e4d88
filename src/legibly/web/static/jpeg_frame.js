// How the pixels of a JPEG lie: boxes drawn on them as they stand in the file turn with the picture.
// Pure, so that it is tested without a browser.

/** @typedef {{ width: number, height: number, orientation: number }} Frame */

const START_OF_FRAME = [0xc0, 0xc1, 0xc2, 0xc3];
const ORIENTATION = 0x0112;

/** The size in the file and the EXIF orientation, 1 … 8; null for other files.
 * @param {ArrayBuffer} data the beginning of a file
 * @returns {Frame | null} */
export function frameOf(data) {
  const view = new DataView(data);
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  let orientation = 1;
  for (let at = 2; at + 9 < view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint8(at + 1);
    if (marker === 0xe1) orientation = orientationIn(view, at) ?? orientation;
    if (START_OF_FRAME.includes(marker))
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5), orientation };
  }
  return null;
}

/** The orientation in an EXIF segment (EXIF 2.32, 4.5 and 4.6).
 * @param {DataView} view
 * @param {number} segment */
function orientationIn(view, segment) {
  const tiff = segment + 10;
  const end = Math.min(segment + 2 + view.getUint16(segment + 2), view.byteLength);
  if (tiff + 10 > end || view.getUint32(segment + 4) !== 0x45786966) return undefined;
  const isLittle = view.getUint16(tiff) === 0x4949;
  const directory = tiff + view.getUint32(tiff + 4, isLittle);
  if (directory + 2 > end) return undefined;
  const first = directory + 2;
  const last = Math.min(first + 12 * view.getUint16(directory, isLittle), end - 11);
  for (let entry = first; entry < last; entry += 12)
    if (view.getUint16(entry, isLittle) === ORIENTATION) return view.getUint16(entry + 8, isLittle);
  return undefined;
}

/** A box `[x, y, width, height]` of the file's pixels, on the upright picture.
 * @param {number[]} box
 * @param {Frame} frame
 * @returns {number[]} */
export function upright([x, y, width, height], { width: w, height: h, orientation }) {
  const right = w - x - width;
  const bottom = h - y - height;
  const places = {
    2: [right, y],
    3: [right, bottom],
    4: [x, bottom],
    5: [y, x],
    6: [bottom, x],
    7: [bottom, right],
    8: [y, right],
  };
  const size = orientation >= 5 ? [height, width] : [width, height];
  return [...(places[orientation] ?? [x, y]), ...size];
}
