// Many files: kept in the browser until the server has acknowledged each, a few in flight, so that
// a reload loses none.
// Each is sent under a name of its own: one whose acknowledgement was lost is sent again, and is
// still one picture.
import * as api from "./api.js";
import { say } from "./dom.js";

const IN_FLIGHT = 4;
const me = api.fresh();
/** Whether sending a file again cannot help: the server has looked at it and wants it not. */
const refused = (error) => error.status >= 400 && error.status < 500 && error.status !== 401;

/** The bytes of a file, read before they are sent: a file that has gone from the disk looks like
 * a torn line otherwise. */
async function content(blob) {
  try {
    return new Blob([await blob.arrayBuffer()], { type: blob.type });
  } catch {
    throw new api.Problem(410, say("file_gone"));
  }
}

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The browser's own cupboard, or nothing where it is shut (private windows). */
async function cupboard() {
  try {
    const opening = indexedDB.open("legibly-queue", 1);
    opening.onupgradeneeded = () =>
      opening.result.createObjectStore("files", { autoIncrement: true });
    const database = await asked(opening);
    return (mode) => database.transaction("files", mode).objectStore("files");
  } catch {
    return null;
  }
}

/** Whether the tab that queued a file still lives: it then sends the file itself. */
async function living() {
  if (!navigator.locks) return new Set();
  navigator.locks.request(`legibly-tab-${me}`, () => new Promise(() => {}));
  const { held } = await navigator.locks.query();
  return new Set(held.map((lock) => lock.name.replace("legibly-tab-", "")));
}

export class Queue {
  /** `onSent(image)` for each acknowledged picture; `onChange(queue)` when counts move; `owner`
   * is who is signed in. */
  constructor({ owner, direct, onSent, onChange, onShare }) {
    Object.assign(this, {
      owner,
      direct,
      onSent,
      onChange,
      onShare,
      shares: new Map(),
      adding: 0,
      waiting: [],
      flying: 0,
      total: 0,
      sent: 0,
      failed: [],
      pending: new Set(),
    });
    this.files = cupboard();
    this.resume();
    addEventListener(
      "beforeunload",
      (event) => (this.adding || (!this.kept && this.busy)) && event.preventDefault(),
    );
  }

  get busy() {
    return this.adding + this.waiting.length + this.flying > 0;
  }

  async resume() {
    const open = await this.files;
    this.kept = Boolean(open);
    if (!open) return;
    const others = await living();
    const shelf = open("readonly");
    const [keys, left] = await Promise.all([asked(shelf.getAllKeys()), asked(shelf.getAll())]);
    left.forEach((entry, at) => {
      if (entry.tab !== me && !others.has(entry.tab) && entry.owner === this.owner)
        this.push({ ...entry, key: keys[at] });
    });
  }

  /** Take files; all of them are on the shelf before the first is sent. */
  async add(files) {
    this.begin();
    this.total += files.length;
    this.adding += files.length;
    this.onChange(this);
    const entries = [...files].map((file) => ({
      blob: file,
      name: file.name || "picture.png",
      tab: me,
      owner: this.owner,
      once: api.fresh(),
    }));
    try {
      const shelf = (await this.files)?.("readwrite");
      if (shelf)
        await Promise.all(
          entries.map(async (entry) => (entry.key = await asked(shelf.add({ ...entry })))),
        );
    } catch {
      this.kept = false; // the shelf is full: sending goes on from memory
    }
    this.adding -= files.length;
    this.waiting.push(...entries);
    this.next();
  }

  /** A new count, unless the last one is still going on. */
  begin() {
    if (!this.busy && this.pending.size === 0)
      Object.assign(this, { total: 0, sent: 0, failed: [] });
  }

  push(entry) {
    this.begin();
    this.total++;
    this.waiting.push(entry);
    this.next();
  }

  /** Send once more what failed for a reason that may have passed. */
  again() {
    const stuck = this.failed.filter(({ entry }) => entry);
    this.failed = this.failed.filter(({ entry }) => !entry);
    this.waiting.push(...stuck.map(({ entry }) => entry));
    this.next();
  }

  next() {
    while (this.flying < IN_FLIGHT && this.waiting.length) this.fly(this.waiting.shift());
    this.onChange(this);
  }

  async fly(entry) {
    this.flying++;
    try {
      const image =
        (await this.put(entry)) ??
        (await api.send(await content(entry.blob), {
          name: entry.name,
          once: entry.once,
          tries: Infinity,
        }));
      this.sent++;
      if (image.state === "pending") this.pending.add(image.id);
      this.onSent(image);
      await this.forget(entry);
    } catch (error) {
      const final = refused(error);
      this.failed.push({ name: entry.name, why: error.message, entry: final ? null : entry });
      if (final) await this.forget(entry);
    }
    this.flying--;
    this.next();
  }

  /** Straight into the store, where there is one for it: the image, or null. */
  async put(entry) {
    const store = await this.direct;
    if (!store) return null;
    const onShare = (share) => (this.shares.set(entry, share), this.onShare(this));
    return store
      .send(entry, { keep: () => this.keep(entry), onShare })
      .finally(() => this.shares.delete(entry));
  }

  /** How much of the files in flight is through, in files. */
  get share() {
    return [...this.shares.values()].reduce((sum, share) => sum + share, 0);
  }

  async keep({ key, ...entry }) {
    const open = await this.files;
    if (open && key !== undefined) await asked(open("readwrite").put(entry, key)).catch(() => {});
  }

  async forget(entry) {
    const open = await this.files;
    if (open && entry.key !== undefined)
      await asked(open("readwrite").delete(entry.key)).catch(() => {});
  }

  /** An answer came. */
  heard(image) {
    if (image.state !== "pending" && this.pending.delete(image.id)) this.onChange(this);
  }
}

/** Every file in a drop, folders included, in the order of their names. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile)
      return found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    const reader = entry.createReader();
    for (;;) {
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) return;
      for (const child of batch) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return pictures(found);
}

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|tiff?|hei[cf]|avif)$/i;
/** The pictures among the files of a folder: the rest of a folder is not meant. */
export const pictures = (files) =>
  [...files].filter((file) => file.type.startsWith("image/") || PICTURE.test(file.name));
