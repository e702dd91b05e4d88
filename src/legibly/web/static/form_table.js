// The values of forms as files. Pure, so that it is tested without a browser.

/** @typedef {{ text: string, verdict: string, confidence: number, truth?: string | null }} Value
 * @typedef {{ source: string, fields: Record<string, Value>, error: string | null }} Page */

/** The text that counts: the label of a person, else the reading.
 * @param {Value} value */
export const textOf = (value) => value.truth ?? value.text;

/** Whether a person should look at a value.
 * @param {Value} value */
export const isDoubtful = ({ verdict, truth }) =>
  typeof truth !== "string" && !["read", "blank"].includes(verdict);

/** @param {string} text */
const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** A row a page, a column a field, and the names of the fields to look at.
 * @param {string[]} names
 * @param {Page[]} pages */
export function asCsv(names, pages) {
  const rows = pages
    .filter(({ error }) => !error)
    .map(({ source, fields }) => [
      source,
      ...names.map((name) => (fields[name] ? textOf(fields[name]) : "")),
      names.filter((name) => fields[name] && isDoubtful(fields[name])).join(" "),
    ]);
  const lines = [["source", ...names, "unsure"], ...rows].map((row) => row.map(cell).join(","));
  return `\ufeff${lines.join("\r\n")}\r\n`; // the mark by which spreadsheets know UTF-8
}

/** The same as JSON, with what was read and what a person said.
 * @param {string[]} names
 * @param {Page[]} pages */
export function asJson(names, pages) {
  const values = (/** @type {Page} */ { fields }) =>
    Object.fromEntries(
      names
        .filter((name) => fields[name])
        .map((name) => {
          const { text, verdict, confidence, truth } = fields[name];
          const label = typeof truth === "string" ? { truth } : {};
          return [name, { text, verdict, confidence, ...label }];
        }),
    );
  const document = pages.map((page) =>
    page.error
      ? { source: page.source, error: page.error }
      : { source: page.source, fields: values(page) },
  );
  return `${JSON.stringify({ pages: document }, null, 1)}\n`;
}
