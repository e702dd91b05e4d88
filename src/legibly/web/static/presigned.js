// Pictures straight into an S3 store: announced to our server, put by the browser, told of once
// they lie there.
// Only files whose private metadata (place, time, camera) is taken off here go that way; the server
// strips all others.
import * as api from "./api.js";
import { say, toast } from "./dom.js";

// without a byte moving: a store that only the server can reach often just does not answer
const STALL_SECONDS = 15;
const FRESH_MS = 60_000;
let closed = false; // for the life of this page

/** Put one entry of the queue; null where it has to go through the server. `keep(entry)`
 * remembers what was announced. */
export async function send(entry, { keep, onShare }) {
  const before = entry.upload && (await arrived(entry.upload.id));
  if (before) return before;
  const picture = closed ? null : await bare(entry.blob);
  for (let attempt = 1; picture && !closed && attempt <= 2; attempt++) {
    if (!(await announce(entry, picture, keep))) return null;
    const status = await put(entry.upload, picture, onShare);
    // asked after a failure, too: an answer may have been lost
    const image = await arrived(entry.upload.id);
    if (image) return image;
    if (status === 403) entry.upload = null; // it held no longer
  }
  if (picture && !closed) {
    closed = true;
    toast(say("not_direct"));
  }
  return null;
}

async function announce(entry, picture, keep) {
  if (entry.upload && Date.parse(entry.upload.expires_at) - Date.now() > FRESH_MS) return true;
  try {
    const { name, writer, label } = entry;
    const batch = entry.batch?.id;
    const media = { media_type: picture.type, bytes: picture.size };
    entry.upload = await api.announce({ ...media, name, writer, label, batch });
  } catch (error) {
    if ([400, 404].includes(error.status)) return false; // this server takes pictures itself
    throw error;
  }
  await keep(entry);
  return true;
}

/** The image, if its picture lies in the store; null if it does not. */
async function arrived(id) {
  try {
    return await api.arrived(id);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

/** The status of the PUT: 412 where the picture lies there already, 0 where nobody answered. */
function put({ method, url, headers }, picture, onShare) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of the bytes on their way
    let stalled;
    const moves = () => (
      clearTimeout(stalled),
      (stalled = setTimeout(() => request.abort(), STALL_SECONDS * 1000))
    );
    request.upload.onprogress = ({ loaded }) => (
      moves(),
      onShare(Math.min(1, loaded / picture.size))
    );
    request.onloadend = () => (clearTimeout(stalled), resolve(request.status));
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    moves();
    request.send(picture);
  });
}

/** The same picture without private metadata, as a Blob of its true type; null for kinds that are
 * not taken apart here. */
export async function bare(blob) {
  const data = new DataView(await blob.arrayBuffer());
  const strip = data.byteLength > 12 && { 0xffd8: jpeg, 0x8950: png }[data.getUint16(0)];
  try {
    const parts = strip && strip(data);
    return parts && new Blob(parts, { type: strip === jpeg ? "image/jpeg" : "image/png" });
  } catch {
    return null; // cut off or made by a strange program: the server looks closer
  }
}

const slice = (data, start, end = data.byteLength) =>
  new Uint8Array(data.buffer, start, end - start);
const ascii = (data, at, length) => String.fromCharCode(...slice(data, at, at + length));

// ITU T.81, annex B: what begins with FF E1 (EXIF, XMP), FF ED (IPTC) or FF FE (comments) goes, the
// orientation stays.
function jpeg(data) {
  const kept = [slice(data, 0, 2)];
  let turned = 1,
    at = 2;
  while (data.getUint8(at) === 0xff && data.getUint8(at + 1) !== 0xda) {
    const marker = data.getUint8(at + 1);
    // no length: rare
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd8) || marker === 0xff) return null;
    const end = at + 2 + data.getUint16(at + 2);
    if (marker === 0xe1 && ascii(data, at + 4, 6) === "Exif\0\0")
      turned = orientation(new DataView(data.buffer, at + 10, end - at - 10));
    if (![0xe1, 0xed, 0xfe].includes(marker)) kept.push(slice(data, at, end));
    at = end;
  }
  if (data.getUint8(at) !== 0xff) return null;
  if (turned !== 1)
    kept.splice(
      1,
      0,
      new Uint8Array([
        0xff,
        0xe1,
        0,
        34,
        ...new TextEncoder().encode("Exif\0\0MM\0*\0\0\0\b\0\u0001"),
        1,
        0x12,
        0,
        3,
        0,
        0,
        0,
        1,
        0,
        turned,
        0,
        0,
        0,
        0,
        0,
        0,
      ]),
    );
  return [...kept, slice(data, at)];
}

// PNG, third edition, 11.3. A picture that an eXIf chunk turns is left to the server.
function png(data) {
  if (data.getUint32(4) !== 0x0d0a1a0a) return null;
  const kept = [slice(data, 0, 8)];
  for (let at = 8; at < data.byteLength;) {
    const end = at + 12 + data.getUint32(at),
      kind = ascii(data, at + 4, 4);
    if (kind === "eXIf" || end > data.byteLength) return null;
    if (!["tEXt", "zTXt", "iTXt", "tIME"].includes(kind)) kept.push(slice(data, at, end));
    at = end;
  }
  return kept;
}

/** EXIF 2.32, 4.6: the orientation in the first directory, 1 where there is none. */
function orientation(tiff) {
  const little = tiff.getUint16(0) === 0x4949,
    start = tiff.getUint32(4, little);
  for (let entry = 0; entry < tiff.getUint16(start, little); entry++) {
    const at = start + 2 + 12 * entry;
    const value = tiff.getUint16(at + 8, little);
    if (tiff.getUint16(at, little) === 0x0112) return value <= 8 ? value || 1 : 1;
  }
  return 1;
}
