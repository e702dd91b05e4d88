// Files from the disk, a drop or the clipboard, into the queue: on the page to write on with their
// progress, on every other page by a drop or from the clipboard.
import { entriesOf, startFields } from "./batch_upload.js";
import { $, $$, number, say, toast } from "./dom.js";
import { dropped } from "./queue.js";
import { queue } from "./uploads.js";

const carries = (event) => event.dataTransfer?.types.includes("Files");
const classesOf = () => JSON.parse($("#classes")?.textContent ?? "[]");

/** `onAdd(entries)` is called before files are sent. */
export function startFiles({ onAdd }) {
  const fields = startFields($("#upload-fields"));
  const add = (files) => send(files, { onAdd, fields: fields() });
  for (const field of $$("input[type=file]")) {
    field.addEventListener("change", () => {
      add([...field.files]);
      field.value = "";
    });
  }
  accept(add);
  $("#camera-open")?.addEventListener("click", async () => {
    const { takePicture } = await import("./camera.js");
    const picture = await takePicture();
    if (picture) add([picture]);
  });
  showProgress($("#queue"));
}

/** Files can be dropped and pasted on every page; the indicator in its foot shows the progress. */
export function acceptAnywhere() {
  const run = () => location.assign("/");
  const onAdd = () => toast(say("files_taken"), { action: say("see"), run });
  accept((files) => send(files, { onAdd }));
}

async function send(files, { onAdd, fields = {} }) {
  const entries = await entriesOf(files, { classes: classesOf(), fields });
  if (!entries.length) return toast(say("no_pictures"));
  onAdd(entries);
  return queue.add(entries);
}

/** Call `add(files)` for files dropped or pasted on this page. */
export function accept(add) {
  acceptDrops(add);
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
}

function acceptDrops(add) {
  let depth = 0;
  const mark = () => document.body.classList.toggle("dropping", depth > 0);
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth++;
    mark();
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  addEventListener("dragover", (event) => {
    if (carries(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    add(await dropped(event.dataTransfer));
  });
}

function showProgress(box) {
  const bar = () => {
    const settled = 2 * (queue.sent + queue.failed.length) - queue.pending.size;
    $("progress", box).value = settled + queue.share;
  };
  const change = () => {
    const read = queue.sent - queue.pending.size;
    const { settled } = queue;
    box.hidden = queue.total === 0;
    $("progress", box).max = queue.total * 2 || 1;
    bar();
    const counts = { sent: number(queue.sent), total: number(queue.total), read: number(read) };
    const key = settled ? "queue_done" : "queue";
    $("p", box).textContent = queue.total ? say(key, counts) : "";
    const link = $("#batch-link");
    link.hidden = !queue.batch || !queue.sent;
    if (queue.batch) link.href = `/batches/${queue.batch.id}`;
    $("button", box).hidden = !queue.failed.some(({ entry }) => entry);
    $("ul", box).replaceChildren(
      ...queue.failed.map(({ name, why }) => {
        const item = document.createElement("li");
        const file = document.createElement("b");
        file.textContent = name;
        item.append(file, ` ${why}`);
        return item;
      }),
    );
    const title = document.title.replace(/^\(.*?\) /, "");
    document.title = settled || !queue.total ? title : `(${read}/${queue.total}) ${title}`;
  };
  queue.addEventListener("share", bar);
  queue.addEventListener("change", change);
  $("button", box).addEventListener("click", () => queue.again());
  change();
}
