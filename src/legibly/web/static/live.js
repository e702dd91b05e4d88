// New readings and labels as they come: one EventSource, opened again whenever it is torn, and a
// word when we are alone.
import { $, say } from "./dom.js";

const news = new Map(); // id → { at, image }, where `image` is null for one that was deleted

const note = (id, image) => news.set(id, { at: performance.now(), image });

/** Images of an answer to a request that began at a time: what was heard of one since is newer. */
export const newest = (images, begun) =>
  images
    .map((image) => (news.get(image.id)?.at > begun ? news.get(image.id).image : image))
    .filter(Boolean);

/** `onImage(image)` for each change; `onReturn()` after a gap, when the page should ask what it
 * missed. */
export function follow(onImage, onReturn, onRemoved) {
  let delay = 1,
    source,
    gone = false;
  const state = $("#live");
  const show = (text) => state && ((state.textContent = text), (state.hidden = !text));
  // From what the page was made with, or the last change that came: nothing falls in between.
  let last = document.body.dataset.sequence;
  const listen = (kind, run) =>
    source.addEventListener(kind, (event) => {
      last = event.lastEventId;
      const data = JSON.parse(event.data);
      note(data.id, kind === "image" ? data : null);
      run(data);
    });
  const open = () => {
    source = new EventSource(`/api/live?after=${last}`);
    listen("image", onImage);
    listen("removed", ({ id }) => onRemoved?.(id));
    source.onopen = () => {
      delay = 1;
      document.documentElement.dataset.live = "on";
      show("");
      if (gone) onReturn?.();
      gone = false;
    };
    source.onerror = () => {
      gone = true;
      document.documentElement.dataset.live = "off";
      show(say("reconnecting"));
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, delay * 1000);
      delay = Math.min(delay * 2, 15);
    };
  };
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && ((gone = true), open()));
}
