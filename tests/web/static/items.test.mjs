import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { boxesOf, corrected, inserted, labelBoxes } = await load("items.js");
const items = [0, 1, 2].map((at) => ({ label: "1", box: [at * 20, 0, 10, 10] }));

test("an item is corrected or taken out within its text, whose rows and gaps stay", () => {
  assert.equal(corrected("1 23", items, 1, "9"), "1 93");
  assert.equal(corrected("1/23", items, 0, ""), "23");
});

test("a text of another length than the items is left alone", () => {
  assert.equal(corrected("12", items, 1, "9"), undefined);
});

test("an item that was missed is put where it stands in the picture", () => {
  assert.equal(inserted("123", items, { x: 17, y: 5 }, "7"), "1723");
  assert.equal(inserted("123", items, { x: 0, y: 5 }, "7"), "7123");
  assert.equal(inserted("123", items, { x: 99, y: 5 }, "7"), "1237");
  assert.equal(inserted("123", items, { x: 5, y: 50 }, "7"), "123/7");
});

test("the boxes of a person count before those of the reading, and know the items under them", () => {
  const boxes = [
    { box: [1, 1, 9, 9], label: "7" },
    { box: [100, 0, 10, 10], label: "2" },
  ];
  const image = { reading: { items }, label: { text: "72", boxes } };
  assert.deepEqual(
    boxesOf(image).map(({ label, at }) => [label, at]),
    [
      ["7", 0],
      ["2", -1],
    ],
  );
  assert.equal(boxesOf({ reading: { items }, label: { text: "111" } }).length, 3);
});

test("a label has boxes where its text has one digit for each of them", () => {
  assert.deepEqual(
    labelBoxes("1 2/3", items).map(({ label }) => label),
    ["1", "2", "3"],
  );
  assert.equal(labelBoxes("12", items), undefined);
});
