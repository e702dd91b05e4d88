// The pure modules of the pages, for node: they import nothing, so their text is enough.

import { readFile } from "node:fs/promises";

const STATIC = new URL("../../../src/legibly/web/static/", import.meta.url);

/** The exports of a module of the pages. */
export async function load(name) {
  const text = await readFile(new URL(name, STATIC), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
