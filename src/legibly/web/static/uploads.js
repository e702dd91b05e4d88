// The queue of this page, whichever page it is: sending goes on everywhere, with a small indicator.
import * as api from "./api.js";
import { $, number, say } from "./dom.js";
import { Queue } from "./queue.js";
import { takeLeft } from "./left.js";

const { owner, direct } = document.body.dataset;
const LAST_SECONDS = 6;

export const queue = new Queue({ owner, direct: direct && import("./presigned.js") });

const indicator = $("#sending");
let hiding = 0;
let checking = 0;
queue.addEventListener("change", () => {
  const { settled } = queue;
  const counts = {
    sent: number(queue.sent),
    total: number(queue.total),
    read: number(queue.sent - queue.pending.size),
  };
  indicator.textContent = say(settled ? "queue_done" : "queue", counts);
  indicator.hidden = queue.total === 0;
  if (settled && queue.batch) indicator.href = `/batches/${queue.batch.id}`;
  clearTimeout(hiding);
  if (settled)
    hiding = setTimeout(() => {
      indicator.hidden = true;
    }, LAST_SECONDS * 1000);
  clearInterval(checking);
  if (queue.pending.size) checking = setInterval(check, 4000);
});

/** The events are the quick way to learn of answers; asking is the sure one. */
async function check() {
  for (const id of [...queue.pending].slice(0, 20)) {
    try {
      const image = await api.image(id);
      queue.settle(image);
      queue.dispatchEvent(new CustomEvent("read", { detail: image }));
    } catch (error) {
      if (error.status === 404) queue.settle({ id, state: "failed" });
    }
  }
}

const left = takeLeft(owner);
if (left) queue.deliver(left).catch(() => {});
