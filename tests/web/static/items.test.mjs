import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { corrected, inserted } = await load("items.js");
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
