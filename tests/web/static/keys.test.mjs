import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { keyAction, labelOf } = await load("keys.js");
const classes = ["7", "x"];
const shown = { state: "read", label: null, reading: { text: "7" } };

test("a class is a label, N says that there is no digit, other keys are none", () => {
  const texts = ["7", "x", "N", "q"].map((key) => labelOf(key, classes));
  assert.deepEqual(texts, ["7", "x", "", undefined]);
});

test("a class of a letter is chosen without Shift too, also where its letter has a command", () => {
  const texts = ["a", "A", "n"].map((key) => labelOf(key, ["A", "N"]));
  assert.deepEqual(texts, ["A", "A", "N"]);
});

test("while ink lies unread, a key finishes the drawing and labels no earlier picture", () => {
  const page = { ink: "unread", shown, classes };
  assert.deepEqual(keyAction("Enter", page), { action: "finish" });
  assert.deepEqual(keyAction("7", page), { action: "finish", text: "7" });
  assert.equal(keyAction("q", page), null);
});

test("a picture without an answer takes no label", () => {
  const page = { ink: "empty", shown: null, classes };
  assert.equal(keyAction("7", page), null);
  assert.equal(keyAction("7", { ...page, shown: { ...shown, state: "pending" } }), null);
});

test("Enter confirms the answer of a picture once", () => {
  const page = { ink: "empty", shown, classes };
  assert.deepEqual(keyAction("Enter", page), { action: "label", text: "7" });
  assert.equal(keyAction("Enter", { ...page, shown: { ...shown, label: {} } }), null);
});
