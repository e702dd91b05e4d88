// Modules of the pages, for node. Pure ones import nothing; for others a test replaces what they
// import.

import { readFile } from "node:fs/promises";

const STATIC = new URL("../../../src/legibly/web/static/", import.meta.url);

const address = (text) => `data:text/javascript,${encodeURIComponent(text)}`;

/** The exports of a module of the pages; `replaced` has the text of modules that it imports. */
export async function load(name, replaced = {}) {
  let text = await readFile(new URL(name, STATIC), "utf8");
  for (const [path, other] of Object.entries(replaced)) text = text.replace(path, address(other));
  return import(address(text));
}
