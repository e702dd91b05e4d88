// One picture on its own page.
import * as api from "./api.js";
import { Card } from "./card.js";
import * as deletion from "./deletion.js";
import { $, onKey, say, toast } from "./dom.js";
import { labelOf } from "./keys.js";
import { follow } from "./live.js";

const classes = JSON.parse($("#classes").textContent);
let image = JSON.parse($("#image").textContent);
const card = new Card($("#card"), { classes, onLabel: (_, text) => label(text) });
card.show(image);

async function label(text) {
  try {
    image = await api.label(image.id, text);
    card.show(image);
    $("#status").textContent = text === null ? say("taken_back") : say("noted", { text });
  } catch (error) {
    toast(error.message);
  }
}

onKey((event, command) => {
  if (command || event.repeat) return false;
  const text = labelOf(event.key, classes);
  if (event.key.toLowerCase() === "u" && image.label) label(null);
  else if (image.state === "pending" || image.label) return false;
  else if (event.key === "Enter" && image.reading?.text) label(image.reading.text);
  else if (text !== undefined) label(text);
  else return false;
  return true;
});

const isThis = (id) => id === image.id;
follow(
  (changed) => {
    if (isThis(changed.id)) card.show((image = changed));
  },
  undefined,
  (id) => isThis(id) && !$("#delete").disabled && location.assign("/history"),
);

$("#delete").addEventListener("click", async () => {
  $("#delete").disabled = true;
  try {
    await deletion.remove([image.id], () => location.assign("/history"));
    location.assign("/history");
  } catch (error) {
    $("#delete").disabled = false;
    toast(error.message);
  }
});
$("#copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    toast(say("copied"));
  } catch {
    toast(location.href); // a page without TLS may not write to the clipboard
  }
});
