import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

globalThis.document = { body: { dataset: { sure: "0.97" } } };
const { sureness } = await load("card.js", {
  "./api.js": "",
  "./dom.js": `
    export const $ = () => null;
    export const make = () => null;
    export const mark = () => null;
    export const number = String;
    export const percent = (share) => (Math.floor(share * 1000) / 10).toFixed(1);
    export const say = (key, { percent, count }) => [key, percent, count].join(" ");`,
});

test("the share and the count of wrong answers add up to all answers", () => {
  assert.equal(sureness(0.5408), "sureness 54.0 460");
  assert.equal(sureness(0.9996), "sureness_one 99.9 1");
});
