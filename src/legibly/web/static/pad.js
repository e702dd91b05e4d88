// The sheet to write on. Strokes are kept as points in 0 … 1 of the side, so that they survive a
// resize and export at any size.
const INK = "#16181d";
const WIDTH = 0.058; // of the side: about what a felt pen leaves on a note of this size

const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
const thickness = (point, side, width) => width * side * (0.55 + 0.9 * point.p);

/** One segment from `from` on: curves through the midpoints, with the pen at the points between. */
function trace(context, points, side, from = 0) {
  const { width = WIDTH } = points; // a stroke keeps the width of its pen
  context.strokeStyle = context.fillStyle = INK;
  context.lineCap = context.lineJoin = "round";
  if (points.length === 1) {
    context.beginPath();
    const radius = thickness(points[0], side, width) / 2;
    context.arc(points[0].x * side, points[0].y * side, radius, 0, 7);
    context.fill();
    return;
  }
  for (let at = Math.max(1, from); at < points.length; at++) {
    const before = points[at - 1],
      point = points[at];
    const start = at > 1 ? middle(points[at - 2], before) : before;
    const end = at === points.length - 1 && from === 0 ? point : middle(before, point);
    context.lineWidth = (thickness(before, side, width) + thickness(point, side, width)) / 2;
    context.beginPath();
    context.moveTo(start.x * side, start.y * side);
    context.quadraticCurveTo(before.x * side, before.y * side, end.x * side, end.y * side);
    context.stroke();
  }
}

export class Pad {
  /** `onStroke(down)` when a stroke begins (true) and ends (false); `onChange()` when the ink
   * changed. */
  constructor(canvas, { onStroke, onChange }) {
    this.canvas = canvas;
    this.onStroke = onStroke;
    this.onChange = onChange;
    this.width = WIDTH; // of the pen, as a share of the side
    this.strokes = [];
    this.current = null;
    this.past = [];
    this.future = [];
    this.context = canvas.getContext("2d", { desynchronized: true });
    new ResizeObserver(() => this.fit()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"])
      canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  }

  get empty() {
    return this.strokes.length === 0 && !this.current;
  }

  fit() {
    const side = Math.round(this.canvas.clientWidth * Math.min(devicePixelRatio || 1, 3));
    if (!side || side === this.canvas.width) return;
    this.canvas.width = this.canvas.height = side;
    this.redraw();
  }

  redraw() {
    const { width, height } = this.canvas;
    this.context.clearRect(0, 0, width, height);
    for (const stroke of this.strokes) trace(this.context, stroke, width);
    if (this.current) trace(this.context, this.current, width);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const pen = event.pointerType === "pen" && event.pressure > 0;
    return {
      x: (event.clientX - box.left) / box.width,
      y: (event.clientY - box.top) / box.height,
      p: pen ? event.pressure : 0.5,
    };
  }

  down(event) {
    if (this.current || event.button > 0) return;
    if (event.pointerType === "touch" && !event.isPrimary) return;
    event.preventDefault();
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur(); // keys: the sheet
    this.canvas.setPointerCapture(event.pointerId);
    this.onStroke(true);
    this.pointer = event.pointerId;
    this.current = Object.assign([this.point(event)], { width: this.width });
    trace(this.context, this.current, this.canvas.width);
  }

  move(event) {
    if (!this.current || event.pointerId !== this.pointer) return;
    const before = this.current.length;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) {
      const point = this.point(part),
        last = this.current.at(-1);
      if (Math.hypot(point.x - last.x, point.y - last.y) > 0.0015) this.current.push(point);
    }
    trace(this.context, this.current, this.canvas.width, before);
  }

  up(event) {
    if (!this.current || event.pointerId !== this.pointer) return;
    const stroke = this.current;
    this.current = null;
    this.change([...this.strokes, stroke]);
    this.onStroke(false);
  }

  /** Set the strokes, so that `undo` brings back what was there. */
  change(strokes) {
    this.past.push(this.strokes);
    this.future = [];
    this.set(strokes);
  }

  clear() {
    if (!this.empty) this.change([]);
  }

  undo() {
    if (!this.canUndo) return;
    this.future.push(this.strokes);
    this.set(this.past.pop());
  }

  redo() {
    if (!this.canRedo) return;
    this.past.push(this.strokes);
    this.set(this.future.pop());
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /** An empty sheet with nothing to undo. */
  reset() {
    this.strokes = [];
    this.current = null;
    this.past = [];
    this.future = [];
    this.redraw();
  }

  set(strokes) {
    this.strokes = strokes;
    this.current = null;
    this.redraw();
    this.onChange();
  }

  /** The sheet as a canvas: dark ink on white, square, `side` pixels. */
  canvasOf(side = 280) {
    const sheet = document.createElement("canvas");
    sheet.width = sheet.height = side;
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    for (const stroke of this.strokes) trace(context, stroke, side);
    return sheet;
  }

  /** The sheet as a PNG. */
  png(side = 280) {
    return new Promise((resolve) => this.canvasOf(side).toBlob(resolve, "image/png"));
  }
}
