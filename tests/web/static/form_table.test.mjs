import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { asCsv, asJson } = await load("form_table.js");
const read = { text: "90210", verdict: "read", confidence: 0.998 };
const unsure = { text: "17", verdict: "unsure", confidence: 0.5 };
const pages = [
  { source: "a, b.jpg", error: null, fields: { code: read, amount: unsure } },
  { source: "c.jpg", error: null, fields: { code: read, amount: { ...unsure, truth: "11" } } },
  { source: "d.jpg", error: "The form is not there.", fields: {} },
];

test("the CSV has a row a page, what people said before what was read, and what is unsure", () => {
  const lines = asCsv(["code", "amount"], pages).replace("\ufeff", "").split("\r\n");
  assert.deepEqual(lines, [
    "source,code,amount,unsure",
    '"a, b.jpg",90210,17,amount',
    "c.jpg,90210,11,",
    "",
  ]);
});

test("the JSON has both, and why a page has none", () => {
  const [, second, third] = JSON.parse(asJson(["code", "amount"], pages)).pages;
  assert.deepEqual(second.fields.amount, { ...unsure, truth: "11" });
  assert.deepEqual(third, { source: "d.jpg", error: "The form is not there." });
});
