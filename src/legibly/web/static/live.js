// New readings and labels, live: one EventSource, reopened after each interruption, and a message
// without a connection.
import { $, say } from "./dom.js";

const news = new Map(); // id → { at, image }; `image` is null if it was deleted

const note = (id, image) => news.set(id, { at: performance.now(), image });

/** The images of a response; newer news since the request began replaces them. */
export const newest = (images, begun) =>
  images
    .map((image) => (news.get(image.id)?.at > begun ? news.get(image.id).image : image))
    .filter(Boolean);

/** Call `onImage(image)` for each change, and `onReturn()` after an interruption, when the page
 * should fetch what it missed. */
export function follow(onImage, onReturn, onRemoved) {
  let delay = 1,
    source,
    gone = false;
  const state = $("#live");
  const show = (text) => state && ((state.textContent = text), (state.hidden = !text));
  // After the state of the page, or the last received change, so that none is missed.
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
