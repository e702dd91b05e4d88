import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const labels = await load("labels.js");

test("quotes, other separators and other names of columns are understood", () => {
  assert.deepEqual(
    [...labels.fromCsv('file,label\r\n"a ""b"", c.png",7\r\nd.png,\r\n')],
    [
      ['a "b", c.png', { label: "7", writer: undefined }],
      ["d.png", { label: undefined, writer: undefined }],
    ],
  );
  const other = labels.fromCsv("\ufefffile_name;text;author\na.png;1/2;Ada\n");
  assert.deepEqual(labels.factsOf(other, "scans/a.png"), { label: "1/2", writer: "Ada" });
});

test("a table without files and labels is none", () => {
  assert.equal(labels.fromCsv("colour,size\nred,1\n"), null);
});

test("the boxes of a COCO document give a text from left to right", () => {
  const coco = {
    images: [{ id: 1, file_name: "a.png" }],
    categories: [
      { id: 3, name: "7" },
      { id: 4, name: "1" },
    ],
    annotations: [
      { image_id: 1, category_id: 4, bbox: [50, 0, 9, 9] },
      { image_id: 1, category_id: 3, bbox: [5, 0, 9, 9] },
    ],
  };
  const { label, boxes } = labels.fromCoco(coco).get("a.png");
  assert.equal(label, "71");
  assert.deepEqual(boxes, [
    { box: [5, 0, 9, 9], label: "7" },
    { box: [50, 0, 9, 9], label: "1" },
  ]);
  coco.images[0].text = "17";
  assert.equal(labels.fromCoco(coco).get("a.png").boxes, undefined);
  assert.equal(labels.fromCoco([1, 2]), null);
});

test("a pattern has places, and signs of regular expressions stand for themselves", () => {
  const pattern = labels.fromPattern("{label}_{writer}_(*)");
  assert.deepEqual({ ...pattern("7_ada_(01).png") }, { label: "7", writer: "ada" });
  assert.deepEqual({ ...pattern("7-ada.png") }, {});
  assert.equal(labels.fromPattern("scan"), null);
});

test("folders that are named by classes give labels", () => {
  assert.equal(labels.areClassFolders(["d/3/a.png", "d/5/b.png"], ["3", "5"]), true);
  assert.equal(labels.areClassFolders(["d/a.png", "e/b.png"], ["3"]), false);
});
