// Practice: the page asks for digits, the least legible ones more often, and says at once how each
// was read.
import * as api from "./api.js";
import { $, make, mark, number, onKey, percent, say, toast } from "./dom.js";
import { Pad } from "./pad.js";

const weights = JSON.parse($("#weights").textContent);
const writer = $("#practice").dataset.writer;
const sheet = $("#pad");
let wanted = null,
  pause = null,
  busy = false,
  done = 0,
  right = 0;

/** The next digit: each has a chance, those that are hard to read a better one; never the same
 * twice running. */
function next() {
  const chances = Object.entries(weights)
    .filter(([digit]) => digit !== wanted)
    .map(([digit, value]) => [digit, 0.25 + (1 - (value ?? 0))]);
  let at = Math.random() * chances.reduce((sum, [, chance]) => sum + chance, 0);
  wanted = (chances.find(([, chance]) => (at -= chance) <= 0) ?? chances.at(-1))[0];
  const [before, after] = say("write_a").split("{digit}");
  $("#ask").replaceChildren(before, make("b", {}, wanted), after ?? "");
  $("#ask").dataset.wanted = wanted;
}

const stop = () => (clearTimeout(pause), sheet.classList.remove("counting"));
const pad = new Pad($("canvas", sheet), {
  onStroke(down) {
    stop();
    if (down) return;
    sheet.classList.add("counting");
    pause = setTimeout(read, 900);
  },
  onChange() {
    for (const name of ["#read", "#undo", "#clear"]) $(name).disabled = pad.empty;
  },
});

async function read() {
  stop();
  if (pad.empty || busy) return;
  busy = true;
  const meant = wanted;
  try {
    const picture = await pad.png();
    pad.set([]);
    next();
    told(
      await api.send(picture, {
        name: say("drawing"),
        wait: 10,
        label: meant,
        writer: writer || undefined,
      }),
      meant,
    );
  } catch (error) {
    toast(error.message);
  }
  busy = false;
}

function told(image, meant) {
  const reading = image.reading,
    text = reading?.text ?? "";
  const share =
    reading?.items.length === 1
      ? (reading.items[0].legibility ?? reading.items[0].probabilities[meant] ?? 0)
      : 0;
  const good = text === meant;
  done++;
  right += good;
  weights[meant] = weights[meant] === null ? share : 0.7 * weights[meant] + 0.3 * share;
  $("#told").textContent =
    text === ""
      ? say("practice_blank")
      : say(good ? "practice_right" : "practice_wrong", {
          read: text,
          meant,
          percent: percent(share),
        });
  $("#tally").textContent = say("practice_done", { count: number(done), right: number(right) });
  $("#results").prepend(
    make(
      "li",
      { class: good ? "right" : "wrong" },
      make("span", {}, mark(good ? "read" : "not_a_digit"), ` ${meant}`),
      make("small", {}, good ? percent(share) : `→ ${text || "∅"}`),
    ),
  );
}

const run = {
  z: () => pad.undo(),
  c: () => (stop(), pad.set([])),
  s: () => (stop(), pad.set([]), next()),
};
$("#read").addEventListener("click", read);
$("#undo").addEventListener("click", () => (stop(), run.z()));
$("#clear").addEventListener("click", run.c);
$("#skip").addEventListener("click", run.s);
onKey((event, command) => {
  if (command) return event.key === "z" && (run.z(), true);
  if (event.key === "Enter") return (read(), true);
  return run[event.key.toLowerCase()] && (run[event.key.toLowerCase()](), true);
});
next();
