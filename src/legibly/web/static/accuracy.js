// The threshold that somebody moves: what would be answered, and how much of that would be wrong.
import { $, percent, say } from "./dom.js";

const box = $("#threshold");
const curve = JSON.parse($("#curve")?.textContent ?? "[]");

/** A share of mistakes is rounded up, so that few never read as none. */
const upwards = (share) => percent(Math.ceil(share * 1000 - 1e-9) / 1000 + 1e-9);

function show(at) {
  const { threshold, coverage, accuracy, low, high } = curve[at];
  const from = percent(threshold + 1e-9);
  const answered = { threshold: from, coverage: percent(coverage + 1e-9) };
  $("output", box).textContent =
    accuracy === null
      ? say("threshold_none", answered)
      : say("threshold", {
          ...answered,
          risk: upwards(1 - accuracy),
          low: upwards(1 - high),
          high: upwards(1 - low),
        });
  $("input", box).setAttribute("aria-valuetext", from);
}

if (box && curve.length) {
  const slider = $("input", box);
  box.hidden = false;
  slider.max = curve.length - 1;
  const sure = Number(document.body.dataset.sure);
  const start = curve.findLastIndex(({ threshold }) => threshold <= sure);
  slider.value = Math.max(0, start);
  slider.addEventListener("input", () => show(Number(slider.value)));
  show(Number(slider.value));
}
$("#print")?.addEventListener("click", () => print());
