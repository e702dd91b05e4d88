// The camera of this computer or phone: choose one, freeze a frame, cut out a part, and use it.
import { make, say } from "./dom.js";

const CHOSEN = "legibly-camera";

/** A picture that somebody took, as a file; null where nobody did. */
export async function takePicture() {
  if (!navigator.mediaDevices?.getUserMedia) return fromPhone();
  const dialog = new CameraDialog();
  return dialog.run();
}

/** The camera app of a phone, or its files: for pages without TLS. */
function fromPhone() {
  const field = make("input", { type: "file", accept: "image/*", capture: "environment" });
  return new Promise((resolve) => {
    field.addEventListener("change", () => resolve(field.files[0] ?? null));
    field.addEventListener("cancel", () => resolve(null));
    field.click();
  });
}

class CameraDialog {
  constructor() {
    this.video = make("video", { autoplay: true, playsinline: true, muted: true });
    this.frame = make("canvas", { hidden: true });
    this.part = make("div", { class: "crop", hidden: true });
    this.stage = make("div", { class: "stage" }, this.video, this.frame, this.part);
    const attributes = { "aria-label": say("camera_choose"), hidden: true };
    this.devices = make("select", attributes);
    this.devices.addEventListener("change", () => this.start(this.devices.value));
    this.note = make("p", { class: "quiet small", role: "status" });
    const button = (key, run, name = "") =>
      make("button", { type: "button", class: name, onclick: run }, say(key));
    this.take = button("camera_take", () => this.freeze(), "main");
    this.use = button("camera_use", () => this.finish(), "main");
    this.again = button("camera_again", () => this.show(false));
    const close = button("camera_close", () => this.close(null));
    const row = make("div", { class: "row" }, this.take, this.use, this.again, this.devices, close);
    const title = { class: "camera", "aria-label": say("camera") };
    this.dialog = make("dialog", title, this.stage, this.note, row);
    this.dialog.addEventListener("close", () => this.close(null));
    this.followPointer();
  }

  run() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.show(false);
    this.start(localStorage.getItem(CHOSEN) || "");
    return new Promise((resolve) => (this.resolve = resolve));
  }

  async start(device) {
    this.stop();
    this.take.disabled = true; // until the new camera has a picture
    const choice = device ? { deviceId: { exact: device } } : { facingMode: "environment" };
    const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { ...choice, ...size } });
    } catch (error) {
      if (device) return this.start(""); // that one is not there any more
      this.note.textContent = say(
        error.name === "NotAllowedError" ? "camera_refused" : "camera_missing",
      );
      return undefined;
    }
    const enable = () => (this.take.disabled = false);
    this.video.addEventListener("loadeddata", enable, { once: true });
    this.video.srcObject = this.stream;
    if (device) localStorage.setItem(CHOSEN, device);
    return this.list();
  }

  /** The cameras have names only once one of them was allowed. */
  async list() {
    const all = await navigator.mediaDevices.enumerateDevices();
    const cameras = all.filter(({ kind }) => kind === "videoinput");
    const current = this.stream.getVideoTracks()[0]?.getSettings().deviceId;
    this.devices.replaceChildren(
      ...cameras.map(({ deviceId, label }, at) =>
        make(
          "option",
          { value: deviceId, selected: deviceId === current },
          label || say("camera_number", { number: at + 1 }),
        ),
      ),
    );
    this.devices.hidden = cameras.length < 2;
  }

  freeze() {
    this.frame.width = this.video.videoWidth;
    this.frame.height = this.video.videoHeight;
    this.frame.getContext("2d").drawImage(this.video, 0, 0);
    this.show(true);
  }

  show(isFrozen) {
    this.cut = null;
    this.part.hidden = true;
    this.frame.hidden = !isFrozen;
    this.video.hidden = isFrozen;
    this.take.hidden = isFrozen;
    this.use.hidden = this.again.hidden = !isFrozen;
    this.note.textContent = say(isFrozen ? "camera_cut" : "camera_hint");
    (isFrozen ? this.use : this.take).focus();
  }

  /** Dragging over the frozen frame cuts a part out. */
  followPointer() {
    const place = (event) => {
      const box = this.frame.getBoundingClientRect();
      const share = (value, size) => Math.min(1, Math.max(0, value / size));
      return [
        share(event.clientX - box.left, box.width),
        share(event.clientY - box.top, box.height),
      ];
    };
    this.frame.addEventListener("pointerdown", (event) => {
      this.frame.setPointerCapture(event.pointerId);
      this.begin = place(event);
    });
    this.frame.addEventListener("pointermove", (event) => {
      if (!this.begin) return;
      const [x, y] = place(event);
      const [left, top] = [Math.min(x, this.begin[0]), Math.min(y, this.begin[1])];
      const size = [Math.abs(x - this.begin[0]), Math.abs(y - this.begin[1])];
      this.cut = Math.min(...size) > 0.02 ? [left, top, ...size] : null;
      this.part.hidden = !this.cut;
      const names = ["left", "top", "width", "height"];
      names.forEach((name, at) => (this.part.style[name] = `${100 * (this.cut?.[at] ?? 0)}%`));
    });
    for (const name of ["pointerup", "pointercancel"])
      this.frame.addEventListener(name, () => (this.begin = null));
  }

  finish() {
    const [left, top, width, height] = this.cut ?? [0, 0, 1, 1];
    const across = this.frame.width;
    const down = this.frame.height;
    const picture = make("canvas", { width: width * across, height: height * down });
    const from = [left * across, top * down, width * across, height * down];
    const target = [0, 0, picture.width, picture.height];
    picture.getContext("2d").drawImage(this.frame, ...from, ...target);
    picture.toBlob(
      (blob) => this.close(new File([blob], "camera.jpg", { type: "image/jpeg" })),
      "image/jpeg",
      0.92,
    );
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
  }

  close(picture) {
    this.stop();
    this.resolve?.(picture);
    this.resolve = null;
    this.dialog.remove();
  }
}
