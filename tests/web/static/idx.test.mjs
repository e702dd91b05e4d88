import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { labelsName, parseIdx, pixelsOf } = await load("idx.js");
const { isIdx } = await load("labels.js");
const file = (numbers, values) => {
  const view = new DataView(new ArrayBuffer(numbers.length * 4 + values.length));
  numbers.forEach((number, at) => view.setUint32(at * 4, number));
  values.forEach((value, at) => view.setUint8(numbers.length * 4 + at, value));
  return view.buffer;
};

test("files of a pair are known by their names, and belong together", () => {
  assert.ok(isIdx("t10k-images-idx3-ubyte.gz"));
  assert.ok(isIdx("train-labels.idx1-ubyte"));
  assert.ok(!isIdx("scan.png"));
  assert.equal(labelsName("t10k-images-idx3-ubyte.gz"), "t10k-labels-idx1-ubyte");
});

test("pictures and labels are read; what is cut short or another kind of file is not", () => {
  const images = parseIdx(file([0x803, 2, 1, 2], [1, 2, 3, 4]));
  assert.deepEqual([images.count, images.height, images.width], [2, 1, 2]);
  assert.deepEqual([...pixelsOf(images, 1)], [3, 3, 3, 255, 4, 4, 4, 255]);
  assert.deepEqual([...parseIdx(file([0x801, 2], [7, 1])).values], [7, 1]);
  assert.equal(parseIdx(file([0x803, 2, 1, 2], [1, 2, 3])), null);
  assert.equal(parseIdx(file([0x42, 2], [])), null);
  assert.equal(parseIdx(new ArrayBuffer(3)), null);
});
