// One picture on its own page.
import * as api from "./api.js";
import { Card } from "./card.js";
import { $, onKey, say, toast } from "./dom.js";
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
  if (command) return false;
  if (event.key === "Enter" && image.reading?.text && !image.label)
    return (label(image.reading.text), true);
  if (classes.includes(event.key) && !image.label) return (label(event.key), true);
  if (event.key.toLowerCase() === "u" && image.label) return (label(null), true);
  return false;
});
follow((changed) => changed.id === image.id && card.show((image = changed)));

$("#delete").addEventListener("click", () => {
  card.place.hidden = true;
  let wanted = true;
  const go = async () => {
    if (!wanted) return;
    wanted = false;
    await api.remove(image.id).catch((error) => toast(error.message));
    location.assign("/history");
  };
  toast(say("deleted", { count: 1 }), {
    action: say("undo"),
    run: () => ((wanted = false), (card.place.hidden = false)),
    seconds: 6,
  });
  setTimeout(go, 6000);
});
