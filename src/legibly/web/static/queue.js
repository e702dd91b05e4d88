// Many files: kept in the browser until the server has acknowledged each, a few in flight, so that a reload loses none.
import * as api from "./api.js";
import { say } from "./dom.js";

const IN_FLIGHT = 4;
const me = crypto.randomUUID?.() ?? String(Math.random());

const asked = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** The browser's own cupboard, or nothing where it is shut (private windows). */
async function cupboard() {
  try {
    const opening = indexedDB.open("legibly-queue", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("files", { autoIncrement: true });
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
  /** `onSent(image)` for each acknowledged picture; `onChange(queue)` when counts move. */
  constructor({ onSent, onChange }) {
    Object.assign(this, { onSent, onChange, waiting: [], flying: 0, total: 0, sent: 0, failed: [], pending: new Set() });
    this.files = cupboard();
    this.resume();
    addEventListener("beforeunload", (event) => !this.kept && this.busy && event.preventDefault());
  }

  get busy() {
    return this.waiting.length + this.flying > 0;
  }

  async resume() {
    const open = await this.files;
    this.kept = Boolean(open);
    if (!open) return;
    const others = await living();
    const shelf = open("readonly");
    const [keys, left] = await Promise.all([asked(shelf.getAllKeys()), asked(shelf.getAll())]);
    left.forEach((entry, at) => {
      if (!others.has(entry.tab) || entry.tab === me) this.push({ ...entry, key: keys[at] });
    });
  }

  /** Take files; each is on the shelf before it is sent. */
  async add(files) {
    const open = await this.files;
    for (const file of files) {
      const entry = { blob: file, name: file.name || "picture.png", tab: me };
      try {
        if (open) entry.key = await asked(open("readwrite").add(entry));
      } catch {
        this.kept = false; // the shelf is full: sending goes on from memory
      }
      this.push(entry);
    }
  }

  push(entry) {
    if (!this.busy && this.pending.size === 0) Object.assign(this, { total: 0, sent: 0, failed: [] });
    this.total++;
    this.waiting.push(entry);
    this.next();
  }

  next() {
    while (this.flying < IN_FLIGHT && this.waiting.length) this.fly(this.waiting.shift());
    this.onChange(this);
  }

  async fly(entry) {
    this.flying++;
    try {
      const image = await api.send(entry.blob, { name: entry.name, tries: 30 });
      this.sent++;
      if (image.state === "pending") this.pending.add(image.id);
      this.onSent(image);
    } catch (error) {
      this.failed.push({ name: entry.name, why: error.status === undefined ? say("error_offline") : error.message });
    }
    this.flying--;
    const open = await this.files;
    if (open && entry.key !== undefined) await asked(open("readwrite").delete(entry.key)).catch(() => {});
    this.next();
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
    if (entry.isFile) return found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
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
export const pictures = (files) => [...files].filter((file) => file.type.startsWith("image/") || PICTURE.test(file.name));
