// Practice: the page asks for digits in rounds, the least legible ones more often. There is no time
// limit: a drawing is stored when the writer says that it is finished.
import * as api from "./api.js";
import { $, make, mark, number, onKey, percent, say, toast } from "./dom.js";
import { Sheet } from "./sheet.js";
import { queue } from "./uploads.js";

const TIMES = 2; // each digit in a round
const weights = JSON.parse($("#weights").textContent);
const counts = JSON.parse($("#counts").textContent); // earlier drawings of each digit
const MIN_EXAMPLES = 3; // of each digit, for a first report
const writer = $("#practice").dataset.writer;
const intentions = new Map(); // name of a drawing → the requested digit
const results = []; // newest last, including those being sent
let intended = "";
let left = {}; // remaining drawings of each digit in this round

/** The next digit of the round: less legible ones sooner, never the same twice in a row if there is
 * another. */
function next(again) {
  if (!Object.values(left).some(Boolean))
    left = Object.fromEntries(Object.keys(weights).map((digit) => [digit, TIMES]));
  const rare = Object.keys(weights).filter((digit) => (counts[digit] ?? 0) < MIN_EXAMPLES);
  const later = Object.keys(weights).filter((digit) => left[digit] > 0);
  const open = rare.some((digit) => left[digit] > 0) ? rare.filter((d) => left[d] > 0) : later;
  const others = open.filter((digit) => digit !== intended);
  const candidates = others.length ? others : open;
  const chance = (digit) => 1.25 - (weights[digit] ?? 0);
  let at = Math.random() * candidates.reduce((sum, digit) => sum + chance(digit), 0);
  const drawn = candidates.find((digit) => (at -= chance(digit)) <= 0) ?? candidates.at(-1);
  intended = again ?? drawn;
  const [before, after] = say("write_a").split("{digit}");
  $("#ask").replaceChildren(before, make("b", {}, intended), after ?? "");
  $("#ask").dataset.wanted = intended;
}

const sheet = new Sheet($("#pad"), {
  isLive: () => false, // a live answer would teach people to write for the model
  onInk: ({ pad }) => {
    $("#read").disabled = $("#clear").disabled = pad.empty;
    $("#undo").disabled = sheet.isFinished || !pad.canUndo;
    $("#redo").disabled = sheet.isFinished || !pad.canRedo;
  },
  deliver: ({ blob, once, name }) =>
    queue.deliver({
      blob,
      once,
      name,
      atUpload: intentions.get(once),
      writer: writer || undefined,
    }),
});

async function finish() {
  const digit = intended;
  intentions.set(sheet.once, digit);
  const drawing = sheet.finish();
  if (!drawing) return;
  $("#read").disabled = true;
  const result = { digit, saved: drawing.saved };
  note(result);
  next();
  try {
    result.image = await drawing.saved;
    result.source = URL.createObjectURL(drawing.blob);
    if (results.includes(result)) show(result);
  } catch (error) {
    if (results.includes(result)) forget(result);
    toast(error.message);
  }
}

/** Count a drawing. */
function note(result) {
  results.push(result);
  left[result.digit]--;
  counts[result.digit] = (counts[result.digit] ?? 0) + 1;
  tally();
}

/** Discard a drawing: its digit is requested again in this round. */
function forget(result) {
  results.splice(results.indexOf(result), 1);
  left[result.digit]++;
  counts[result.digit]--;
  tally();
}

const isRight = ({ image, digit }) => image.reading?.text === digit;

function show(result) {
  const { image, digit } = result;
  const { reading } = image;
  const item = reading?.items.length === 1 ? reading.items[0] : null;
  result.share = item ? (item.legibility ?? item.probabilities[digit] ?? 0) : 0;
  const before = weights[digit];
  weights[digit] = before === null ? result.share : 0.7 * before + 0.3 * result.share;
  const read = reading?.text ?? "";
  const key =
    read === "" ? "practice_blank" : isRight(result) ? "practice_right" : "practice_wrong";
  $("#told").textContent = say(key, { read, meant: digit, percent: percent(result.share) });
  $("#results").prepend(tile(result));
  tally();
}

function tile(result) {
  const { image, digit, source, share } = result;
  const good = isRight(result);
  result.tile = make(
    "li",
    { class: good ? "right" : "wrong" },
    make("img", { src: source, alt: "", width: 44, height: 44 }),
    make("span", {}, mark(good ? "read" : "not_a_digit"), ` ${digit}`),
    make("small", {}, good ? percent(share) : `→ ${image.reading?.text || "∅"}`),
  );
  return result.tile;
}

function tally() {
  const shown = results.filter(({ image }) => image);
  const right = shown.filter(isRight).length;
  const size = Object.keys(weights).length * TIMES;
  const counts = { count: number(shown.length), right: number(right) };
  const isEnd = shown.length > 0 && shown.length % size === 0;
  $("#tally").textContent = shown.length
    ? say(isEnd ? "practice_round" : "practice_done", counts)
    : "";
  $("#take-back").disabled = results.length === 0;
}

/** Undo the last drawing, even while it is being sent: it is deleted, and its digit is requested
 * again, at once unless another one is being written. */
async function takeBack() {
  const result = results.at(-1);
  if (!result) return;
  forget(result);
  const isFree = sheet.ink === "empty";
  if (isFree) next(result.digit);
  try {
    const { id } = await result.saved;
    await api.removeAll([id]);
    result.tile?.remove();
    const words = { digit: result.digit, count: number(1) };
    $("#told").textContent = say(isFree ? "practice_taken_back" : "deleted", words);
  } catch (error) {
    if (result.image) note(result);
    toast(error.message);
  }
}

const COMMANDS = {
  z: () => sheet.undo(),
  y: () => sheet.redo(),
  c: () => sheet.clear(),
  s: () => {
    sheet.clear();
    next();
  },
  u: takeBack,
};
$("#read").addEventListener("click", finish);
$("#undo").addEventListener("click", COMMANDS.z);
$("#redo").addEventListener("click", COMMANDS.y);
$("#clear").addEventListener("click", COMMANDS.c);
$("#skip").addEventListener("click", COMMANDS.s);
$("#take-back").addEventListener("click", takeBack);
onKey((event, command) => {
  const key = event.key.toLowerCase();
  if (command) {
    const isRedo = key === "y" || (key === "z" && event.shiftKey);
    if (isRedo) sheet.redo();
    else if (key === "z") sheet.undo();
    return isRedo || key === "z";
  }
  if (event.repeat) return false;
  if (event.key === "Enter") finish();
  else if (key in COMMANDS) COMMANDS[key]();
  else return false;
  return true;
});
next();
