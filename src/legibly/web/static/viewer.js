// Shows a picture in detail: zoom by wheel, pinch and keys, pan by dragging, boxes that react to a
// tap within 44 pixels.
import * as api from "./api.js";
import { $, make, say } from "./dom.js";

const MAX_SCALE = 16;
const STEP = 1.4;
const TAP = 22; // half a finger, in CSS pixels
const SHARP_FROM = 1.5; // the scale from which on the original replaces the thumbnail

export class Viewer {
  /** In `place`; `onChoose(at)` is called for a tap on a box, and `onPoint(box)` for a box that is
   * drawn, or a place that is tapped, while `isPointing`. */
  constructor(place, { image, onChoose, onPoint }) {
    this.place = place;
    this.image = image;
    this.onChoose = onChoose;
    this.onPoint = onPoint;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.pointers = new Map();
    this.isPointing = false;
    this.picture = make("img", {
      src: api.picture(image.id, 1280),
      alt: say("picture_of", { name: image.name ?? say("a_picture") }),
      width: image.width || 280,
      height: image.height || 280,
      draggable: "false",
    });
    this.boxes = make("svg", {
      viewBox: `0 0 ${image.width || 1} ${image.height || 1}`,
      "aria-hidden": "true",
    });
    this.layer = make("div", { class: "layer" }, this.picture, this.boxes);
    const stage = { class: "stage", tabindex: "0", role: "group", "aria-label": say("viewer") };
    this.stage = make("div", stage, this.layer);
    this.stage.style.aspectRatio = `${image.width || 1} / ${image.height || 1}`;
    this.stage.style.setProperty("--ratio", (image.width || 1) / (image.height || 1));
    const button = (key, run) => make("button", { type: "button", onclick: run }, ...key);
    this.tools = make(
      "div",
      { class: "row viewer-tools" },
      button([say("zoom_in"), " ", make("kbd", {}, "+")], () => this.zoom(STEP)),
      button([say("zoom_out"), " ", make("kbd", {}, "−")], () => this.zoom(1 / STEP)),
      button([say("zoom_fit"), " ", make("kbd", {}, "Home")], () => this.fit()),
    );
    place.replaceChildren(this.stage, this.tools);
    this.listen();
    this.show(image, [], -1);
    this.picture.addEventListener("load", () => this.move(), { once: true });
    new ResizeObserver(() => this.move()).observe(this.stage);
  }

  listen() {
    const { stage } = this;
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"])
      stage.addEventListener(name, (event) => this.up(event));
    stage.addEventListener("dblclick", (event) => this.zoom(STEP * STEP, this.at(event)));
  }

  /** Draw the boxes of an image, the chosen one thicker. */
  show(image, boxes, chosen) {
    this.image = image;
    this.frames = boxes.map(({ box }) => box);
    this.boxes.replaceChildren(
      ...boxes.map(({ box: [x, y, width, height], confidence }, at) => {
        const names = [confidence < this.sure ? "unsure" : "", at === chosen ? "on" : ""];
        const box = { x, y, width, height, "data-item": at };
        return make("rect", { ...box, class: names.join(" ").trim() });
      }),
    );
  }

  get sure() {
    return Number(document.body.dataset.sure || 0.9);
  }

  /** A point of the stage, in CSS pixels from its upper left corner. */
  at({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 400), this.at(event));
  }

  /** Zoom around a point of the stage, by default its middle. */
  zoom(factor, point) {
    const { clientWidth, clientHeight } = this.stage;
    const about = point ?? { x: clientWidth / 2, y: clientHeight / 2 };
    const scale = Math.min(MAX_SCALE, Math.max(1, this.scale * factor));
    this.x = about.x - ((about.x - this.x) * scale) / this.scale;
    this.y = about.y - ((about.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.move();
  }

  fit() {
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.move();
  }

  pan(across, down) {
    this.x += across;
    this.y += down;
    this.move();
  }

  /** Keep the picture in the stage, and show it there. */
  move() {
    const { clientWidth, clientHeight } = this.stage;
    const within = (value, size, place) =>
      size <= place ? (place - size) / 2 : Math.min(0, Math.max(place - size, value));
    this.x = within(this.x, this.layer.offsetWidth * this.scale, clientWidth);
    this.y = within(this.y, this.layer.offsetHeight * this.scale, clientHeight);
    this.layer.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.stage.dataset.scale = this.scale.toFixed(2);
    if (this.scale > SHARP_FROM && !this.isSharp) {
      this.isSharp = true;
      const original = new Image();
      original.onload = () => (this.picture.src = original.src);
      original.src = `/api/images/${this.image.id}/original`;
    }
  }

  /** Show a box in the middle, large enough to read. */
  centre(item) {
    if (!item || !this.image.width) return;
    const unit = this.layer.offsetWidth / this.image.width;
    const [left, top, width, height] = item.box.map((value) => value * unit);
    const { clientWidth, clientHeight } = this.stage;
    const largest = Math.min(clientWidth / width, clientHeight / height) / 3;
    this.scale = Math.min(MAX_SCALE, Math.max(1, this.scale, largest));
    this.x = clientWidth / 2 - (left + width / 2) * this.scale;
    this.y = clientHeight / 2 - (top + height / 2) * this.scale;
    this.move();
  }

  down(event) {
    if (event.button > 0) return;
    this.stage.setPointerCapture(event.pointerId);
    const point = this.at(event);
    this.pointers.set(event.pointerId, point);
    this.begin = this.pointers.size === 1 ? point : null; // two fingers only zoom
    this.corner = this.begin && this.isPointing ? this.placeOf(event) : null;
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const point = this.at(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, point);
    if (!other && this.corner) return this.mark(this.boxTo(event));
    if (!other) return this.pan(point.x - before.x, point.y - before.y);
    const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 };
    return this.zoom(distance(point, other) / distance(before, other), middle);
  }

  up(event) {
    const point = this.at(event);
    this.pointers.delete(event.pointerId);
    const isTap = this.begin && Math.hypot(point.x - this.begin.x, point.y - this.begin.y) < 6;
    const isDrawn = this.begin && this.corner && !isTap;
    this.begin = null;
    if (event.type === "pointercancel") return;
    if (isDrawn) return this.onPoint(this.boxTo(event));
    if (!isTap) return;
    if (this.isPointing) return this.onPoint(this.boxAbout(this.placeOf(event)));
    const at = this.nearest(event);
    if (at >= 0) this.onChoose(at);
  }

  /** A point of the window as a place of the picture, in its pixels. */
  placeOf({ clientX, clientY }) {
    const { left, top, width } = this.layer.getBoundingClientRect();
    const unit = (this.image.width || 1) / width;
    return { x: (clientX - left) * unit, y: (clientY - top) * unit };
  }

  /** The box between a pointer's start and its present place, within the picture. */
  boxTo(event) {
    const { width, height } = this.image;
    const within = ({ x, y }) => [
      Math.min(Math.max(0, x), width || 1),
      Math.min(Math.max(0, y), height || 1),
    ];
    const [left, top] = within(this.corner);
    const [x, y] = within(this.placeOf(event));
    const size = [Math.max(1, Math.abs(x - left)), Math.max(1, Math.abs(y - top))];
    return [Math.min(x, left), Math.min(y, top), ...size];
  }

  /** A box around a point, of the average size of the others. */
  boxAbout({ x, y }) {
    const mean = (at) => this.frames.reduce((sum, box) => sum + box[at], 0) / this.frames.length;
    const side = Math.max(this.image.width, this.image.height) / 12;
    const width = mean(2) || side;
    const height = mean(3) || side;
    return [x - width / 2, y - height / 2, width, height];
  }

  /** Mark the box of a missing item; null for none. */
  mark(box) {
    $(".missing", this.boxes)?.remove();
    if (!box) return;
    const [x, y, width, height] = box;
    const shape = { x, y, width, height, class: "missing unsure on" };
    this.boxes.append(make("rect", shape));
  }

  /** The item at a point, or the nearest within half a finger; -1 for none. */
  nearest({ clientX, clientY }) {
    let best = -1;
    let least = TAP;
    [...this.boxes.querySelectorAll("[data-item]")].forEach((rect, at) => {
      const { left, right, top, bottom, width, height } = rect.getBoundingClientRect();
      const across = Math.max(left - clientX, 0, clientX - right);
      const down = Math.max(top - clientY, 0, clientY - bottom);
      const inside = across === 0 && down === 0 ? -1 / (width * height) : Math.hypot(across, down);
      if (inside >= least) return;
      least = inside;
      best = at;
    });
    return best;
  }

  /** Handle a key; returns whether the viewer uses it. */
  key(event) {
    const far = Math.min(this.stage.clientWidth, this.stage.clientHeight) / 4;
    const pans = {
      ArrowLeft: [far, 0],
      ArrowRight: [-far, 0],
      ArrowUp: [0, far],
      ArrowDown: [0, -far],
    };
    if (event.key === "+") this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "Home") this.fit();
    else if (event.shiftKey && pans[event.key]) this.pan(...pans[event.key]);
    else return false;
    return true;
  }
}
