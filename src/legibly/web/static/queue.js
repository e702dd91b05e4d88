// Files and drawings on their way to the server: kept in the browser until the server has
// acknowledged each, so that neither a reload nor another page loses one. Each is sent under a name
// of its own, so that one whose acknowledgement was lost is still one image.
import * as api from "./api.js";
import { say } from "./dom.js";

const IN_FLIGHT = 4;
const TAB = api.fresh();
/** Whether sending a file again cannot help: the server has looked at it and refused it. */
const isRefusal = (error) => error.status >= 400 && error.status < 500 && error.status !== 401;

/** The bytes of a file, read before they are sent: a file that was deleted from the disk looks
 * like a lost connection otherwise. */
async function content(blob) {
  try {
    return new Blob([await blob.arrayBuffer()], { type: blob.type });
  } catch {
    throw new api.Problem(410, say("file_gone"));
  }
}

const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The browser's database, or null where there is none (private windows). */
async function database() {
  try {
    const opening = indexedDB.open("legibly-queue", 1);
    opening.onupgradeneeded = () =>
      opening.result.createObjectStore("files", { autoIncrement: true });
    const opened = await result(opening);
    return (mode) => opened.transaction("files", mode).objectStore("files");
  } catch {
    return null;
  }
}

/** Run something while no page is open as that tab: each open page holds a lock of its own. With
 * `ifAvailable`, `run(false)` at once where it is open; else when it is closed. */
async function whileClosed(tab, options, run) {
  if (!navigator.locks) return run(true);
  return navigator.locks.request(`legibly-tab-${tab}`, options, (lock) => run(Boolean(lock)));
}

/** Hold the lock of this page, before it stores its first file. */
function holdLock() {
  if (!navigator.locks) return null;
  return new Promise((resolve) => {
    navigator.locks.request(`legibly-tab-${TAB}`, () => {
      resolve();
      return new Promise(() => {});
    });
  });
}

/** Events: `sent` with `{ image, entry }` for each acknowledged picture, `change` when counts
 * move, `share` when bytes of a large file moved. */
export class Queue extends EventTarget {
  /** `owner` is who is signed in; `direct` a promise of presigned.js, or a false value. */
  constructor({ owner, direct }) {
    super();
    this.owner = owner;
    this.direct = direct;
    this.shares = new Map();
    this.isLoading = true;
    this.awaited = new Set();
    this.batches = new Map(); // id → that it is opened
    this.batch = null; // the newest one of this page
    this.adding = 0;
    this.waiting = [];
    this.flying = 0;
    this.total = 0;
    this.sent = 0;
    this.failed = [];
    this.pending = new Set();
    this.files = Promise.resolve(holdLock()).then(database);
    this.resume();
    addEventListener("beforeunload", (event) => {
      if (this.adding || (!this.isPersistent && this.busy)) event.preventDefault();
    });
  }

  get busy() {
    return this.adding + this.waiting.length + this.flying > 0;
  }

  /** Nothing is left to load, to send or to be read. */
  get settled() {
    return !this.isLoading && !this.busy && this.pending.size === 0;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** Send what tabs that were closed have left; and, when they are closed, those still open. */
  async resume() {
    const open = await this.files;
    this.isPersistent = Boolean(open);
    try {
      if (open) await this.adopt();
    } finally {
      this.isLoading = false;
      this.changed();
    }
  }

  /** Take the files of every other tab that is closed now. A page that is just being left by a
   * reload counts as open for a moment, so the others are taken when they are closed. */
  async adopt() {
    const entries = await this.stored((entry) => entry.tab !== TAB);
    for (const tab of new Set(entries.map((entry) => entry.tab))) {
      const isClosed = await whileClosed(tab, { ifAvailable: true }, (isFree) =>
        isFree ? this.take(tab).then(() => true) : false,
      );
      if (isClosed || this.awaited.has(tab)) continue;
      this.awaited.add(tab);
      whileClosed(tab, {}, () => this.take(tab)).then(() => this.adopt());
    }
  }

  /** Make the files of a closed tab those of this page, and send them. */
  async take(tab) {
    const entries = await this.stored((entry) => entry.tab === tab);
    for (const entry of entries) {
      entry.tab = TAB;
      await this.save(entry);
      if (entry.isDrawing) this.finish(entry).catch(() => {});
    }
    this.push(entries.filter((entry) => !entry.isDrawing));
  }

  /** The entries in the browser's database that are this owner's and fit. */
  async stored(fits) {
    const open = await this.files;
    const files = open("readonly");
    const [keys, entries] = await Promise.all([result(files.getAllKeys()), result(files.getAll())]);
    return entries
      .map((entry, at) => ({ ...entry, key: keys[at] }))
      .filter((entry) => entry.owner === this.owner && fits(entry));
  }

  /** Take files, `{ file, name, label, boxes, writer, batch }`; all of them are in the database before
   * the first is sent. A `batch` has an `id` and a `name`; it is opened with its first file. */
  async add(files) {
    this.begin();
    this.total += files.length;
    this.adding += files.length;
    this.changed();
    const entries = files.map(({ file, name, writer, label, boxes, batch }) => ({
      blob: file,
      name: name || "picture.png",
      writer,
      label,
      boxes,
      batch,
      tab: TAB,
      owner: this.owner,
      once: api.fresh(),
    }));
    try {
      const open = await this.files;
      const all = open && open("readwrite");
      if (all)
        await Promise.all(
          entries.map(async (entry) => {
            entry.key = await result(all.add({ ...entry }));
          }),
        );
    } catch {
      this.isPersistent = false; // the database is full: sending goes on from memory
    }
    this.batch = entries.find((entry) => entry.batch)?.batch ?? null;
    this.adding -= files.length;
    this.waiting.push(...entries);
    this.next();
  }

  /** Store one drawing, then its label (`truth`) where it has one; resolves to its image. */
  async deliver(entry) {
    const drawing = { ...entry, isDrawing: true, tab: TAB, owner: this.owner };
    try {
      const open = await this.files;
      if (open) drawing.key = await result(open("readwrite").add({ ...drawing }));
    } catch {
      /* from memory, then */
    }
    return this.finish(drawing);
  }

  async finish(drawing) {
    const { blob, name, once, writer, atUpload, truth } = drawing;
    try {
      const wait = drawing.isLeft ? 0 : 10;
      const options = { name, once, writer, label: atUpload, wait, keepalive: true };
      let image = await api.send(blob, { ...options, tries: Infinity });
      if (truth !== undefined) image = await api.label(image.id, truth, { tries: Infinity });
      await this.forget(drawing);
      if (!drawing.isLeft)
        this.dispatchEvent(new CustomEvent("sent", { detail: { image, entry: drawing } }));
      return image;
    } catch (error) {
      if (isRefusal(error)) await this.forget(drawing);
      throw error;
    }
  }

  /** A new count, unless the last one is still going on. */
  begin() {
    if (this.busy || this.pending.size > 0) return;
    this.total = 0;
    this.sent = 0;
    this.failed = [];
  }

  push(entries) {
    if (!entries.length) return;
    this.begin();
    this.total += entries.length;
    this.batch ??= entries.find((entry) => entry.batch)?.batch ?? null;
    this.waiting.push(...entries);
    this.next();
  }

  /** Send once more what failed for a reason that may be over. */
  again() {
    const stuck = this.failed.filter(({ entry }) => entry);
    this.failed = this.failed.filter(({ entry }) => !entry);
    this.waiting.push(...stuck.map(({ entry }) => entry));
    this.next();
  }

  next() {
    while (this.flying < IN_FLIGHT && this.waiting.length) this.fly(this.waiting.shift());
    this.changed();
  }

  async fly(entry) {
    this.flying++;
    try {
      await this.open(entry.batch);
      const answer = (await this.put(entry)) ?? (await this.post(entry));
      const images = answer.images ?? [answer]; // a file with pages becomes an image a page
      if (entry.boxes && images.length === 1) await this.putBoxes(entry, images[0]);
      this.total += images.length - 1;
      this.sent += images.length;
      if (images.length > 1) this.batch ??= { id: answer.batch };
      for (const image of images) {
        if (image.state === "pending") this.pending.add(image.id);
        this.dispatchEvent(new CustomEvent("sent", { detail: { image, entry } }));
      }
      await this.forget(entry);
    } catch (error) {
      const isFinal = isRefusal(error);
      this.failed.push({ name: entry.name, why: error.message, entry: isFinal ? null : entry });
      if (isFinal) await this.forget(entry);
    }
    this.flying--;
    this.next();
  }

  /** Say where the digits of a label lie; where the server refuses that, the label alone stays. */
  async putBoxes({ name, label, boxes }, { id }) {
    try {
      await api.label(id, label, { boxes, tries: Infinity });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.failed.push({ name, why: error.message, entry: null });
    }
  }

  async post(entry) {
    const { name, once, writer, label, batch } = entry;
    const options = { name, once, writer, label, batch: batch?.id, tries: Infinity };
    return api.send(await content(entry.blob), options);
  }

  /** Open a batch once a page; again by the next page, which changes nothing. */
  open(batch) {
    if (!batch) return null;
    if (!this.batches.has(batch.id)) this.batches.set(batch.id, api.openBatch(batch));
    return this.batches.get(batch.id);
  }

  /** Straight into the store, where there is one for it: the image, or null. */
  async put(entry) {
    const store = await this.direct;
    if (!store) return null;
    const onShare = (share) => {
      this.shares.set(entry, share);
      this.dispatchEvent(new Event("share"));
    };
    return store
      .send(entry, { keep: () => this.save(entry), onShare })
      .finally(() => this.shares.delete(entry));
  }

  /** How much of the files in flight is through, in files. */
  get share() {
    return [...this.shares.values()].reduce((sum, share) => sum + share, 0);
  }

  async save({ key, ...entry }) {
    const open = await this.files;
    if (open && key !== undefined) await result(open("readwrite").put(entry, key)).catch(() => {});
  }

  async forget(entry) {
    const open = await this.files;
    if (open && entry.key !== undefined)
      await result(open("readwrite").delete(entry.key)).catch(() => {});
  }

  /** An image changed: it may be one whose answer is awaited. */
  settle(image) {
    if (image.state !== "pending" && this.pending.delete(image.id)) this.changed();
  }
}

/** Every file in a drop, folders included, each with its `path` where it came in a folder. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      file.path = entry.fullPath; // of what was dropped, the browser sets no path of its own
      return files.push(file);
    }
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) return;
      for (const child of batch) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}
