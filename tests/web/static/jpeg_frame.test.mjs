import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { frameOf, upright } = await load("jpeg_frame.js");

/** The head of a JPEG of 40 × 30 pixels with an orientation. */
function head(orientation) {
  const exif = [0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1];
  const entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const segment = [...exif, ...entry];
  const frame = [0xff, 0xc0, 0, 11, 8, 0, 30, 0, 40, 1, 1, 0x11, 0];
  const bytes = [0xff, 0xd8, 0xff, 0xe1, 0, segment.length + 2, ...segment, ...frame];
  return new Uint8Array(bytes).buffer;
}

test("the size and the orientation of a JPEG are read from its head", () => {
  assert.deepEqual(frameOf(head(6)), { width: 40, height: 30, orientation: 6 });
  assert.equal(frameOf(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10]).buffer), null);
  for (let length = 0; length < head(6).byteLength; length++) frameOf(head(6).slice(0, length));
});

test("a box turns with its picture, in each of the eight orientations", () => {
  const box = [1, 2, 10, 20]; // in 40 × 30 pixels
  const places = {
    1: [1, 2, 10, 20],
    2: [29, 2, 10, 20],
    3: [29, 8, 10, 20],
    4: [1, 8, 10, 20],
    5: [2, 1, 20, 10],
    6: [8, 1, 20, 10],
    7: [8, 29, 20, 10],
    8: [2, 29, 20, 10],
  };
  for (const [orientation, place] of Object.entries(places)) {
    const frame = { width: 40, height: 30, orientation: Number(orientation) };
    assert.deepEqual(upright(box, frame), place, orientation);
  }
});
