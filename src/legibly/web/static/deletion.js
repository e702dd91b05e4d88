// Delete at once, with a message that offers to undo it; the message outlives the page.
import * as api from "./api.js";
import { number, say, toast } from "./dom.js";

const NOTE = "legibly-deletion";

function offer({ count, undo, until }, onRestored) {
  const seconds = (until - Date.now()) / 1000;
  if (seconds <= 0) return;
  const run = async () => {
    sessionStorage.removeItem(NOTE);
    try {
      onRestored((await api.restore(undo)).images);
    } catch (error) {
      toast(error.message);
    }
  };
  const text = say("deleted", { count: number(count) });
  if (undo) toast(text, { action: say("undo"), run, seconds });
  else toast(text);
}

/** Delete images; throws Problem. `onRestored(images)` is called when somebody undoes it. */
export async function remove(ids, onRestored) {
  const { count, undo, seconds } = await api.removeAll(ids);
  const note = { count, undo, until: Date.now() + Math.min(seconds, 15) * 1000 };
  sessionStorage.setItem(NOTE, JSON.stringify(note));
  offer(note, onRestored);
}

/** Offer again to undo the deletions of the previous page. */
export function offerAgain(onRestored) {
  const text = sessionStorage.getItem(NOTE);
  sessionStorage.removeItem(NOTE);
  if (text) offer(JSON.parse(text), onRestored);
}
