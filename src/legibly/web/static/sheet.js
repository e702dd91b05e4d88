// The sheet to write on: a live reading of the ink that stores nothing, and one drawing at the end.
import * as api from "./api.js";
import { $, say } from "./dom.js";
import { blobOf, saveLeft } from "./left.js";
import { Pad } from "./pad.js";

const PAUSE_MS = 350;
const RETRY_MS = 2000;
const PASSING = [0, 429, 502, 503, 504];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class Sheet {
  /** `deliver(entry)` stores a drawing and resolves to its image; `onInk(sheet)` is called when
   * the ink or its reading changed; `isLive()` says whether to read while somebody writes. */
  constructor(place, { deliver, onInk, isLive, leaving = null }) {
    this.place = place;
    this.deliver = deliver;
    this.onInk = onInk;
    this.isLive = isLive;
    this.leaving = leaving;
    this.revision = 0;
    this.start();
    this.pad = new Pad($("canvas", place), {
      onStroke: (down) => this.stroke(down),
      onChange: () => this.change(),
    });
    addEventListener("pagehide", () => this.leave());
  }

  /** Begin a drawing: its name is that of one image, however often it is sent. */
  start() {
    this.isFinished = false;
    this.once = api.fresh();
    this.reset();
  }

  reset() {
    this.revision++;
    clearTimeout(this.timer);
    this.controller?.abort();
    this.reading = null;
    this.problem = "";
  }

  /** @returns {import("./keys.js").Ink} */
  get ink() {
    if (this.isFinished || this.pad.empty) return "empty";
    return this.reading ? "read" : "unread";
  }

  stroke(down) {
    if (!down) return;
    if (this.isFinished) {
      this.pad.reset();
      this.start();
    }
    this.reset();
    this.place.classList.remove("sent");
    $(".hint", this.place)?.setAttribute("hidden", "");
    this.onInk(this);
  }

  change() {
    this.reset();
    this.place.classList.remove("sent");
    const hint = $(".hint", this.place);
    if (hint) hint.hidden = !this.pad.empty;
    if (!this.pad.empty && !this.isFinished && this.isLive())
      this.timer = setTimeout(() => this.look(), PAUSE_MS);
    this.onInk(this);
  }

  /** Read the ink as it is now; an answer to older ink is dropped. */
  async look() {
    const { revision } = this;
    this.controller = new AbortController();
    const { signal } = this.controller;
    const blob = await this.pad.png();
    while (revision === this.revision) {
      try {
        const document = await api.preview(blob, { signal });
        if (revision !== this.revision) return;
        this.reading = { ...document, blob, url: URL.createObjectURL(blob) };
        this.problem = "";
        this.onInk(this);
        return;
      } catch (error) {
        if (revision !== this.revision) return;
        this.problem = error.message;
        this.onInk(this);
        if (!PASSING.includes(error.status)) return;
      }
      await pause(RETRY_MS);
    }
  }

  /** Store the drawing, with its label where there is one; null where there is nothing to store. */
  finish(text) {
    if (this.pad.empty || this.pad.current || this.isFinished) return null;
    const { once, reading } = this;
    const drawing = { once, reading, text };
    const blob = this.pad.png();
    this.isFinished = true;
    this.reset();
    this.place.classList.add("sent");
    drawing.saved = blob.then((png) => {
      drawing.blob = png;
      return this.deliver({ blob: png, once, name: say("drawing"), truth: text });
    });
    return drawing;
  }

  clear() {
    if (!this.isFinished) return this.pad.clear();
    this.pad.reset();
    this.start();
    this.change();
  }

  undo() {
    if (!this.isFinished) this.pad.undo();
  }

  redo() {
    if (!this.isFinished) this.pad.redo();
  }

  /** The page is left: send what is on the sheet, and note it for the next page to send again. */
  leave() {
    if (!this.leaving || this.pad.empty || this.isFinished) return;
    const png = this.pad.canvasOf().toDataURL("image/png");
    const { once } = this;
    this.isFinished = true;
    const entry = { png, once, name: say("drawing"), ...this.leaving() };
    saveLeft(entry);
    const { name, writer, truth } = entry;
    const options = { name, once, writer, label: truth, tries: 1, keepalive: true };
    api.send(blobOf(png), options).catch(() => {});
  }
}
