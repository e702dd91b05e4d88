"""How the web app feels in Chromium: ink after the pen, frames while the gallery scrolls, and
Lighthouse's scores.

    python benchmarks/web_feel.py [--images 100000] [--seconds 20] [--part frames|lighthouse]

Fills an index with synthetic readings of a few real pictures, starts the program, and opens its
pages in Chromium without a window or a graphics card (its frames come 60 times a second at most).
Latency is from a pointer event's own time stamp to the first task after the frame that shows it;
frames are counted by requestAnimationFrame while the wheel turns. Lighthouse comes with `npm
install --prefix .tools lighthouse`; without it that part is left out.
"""

import argparse
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import web_pages
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
LIGHTHOUSE = ROOT / ".tools" / "node_modules" / ".bin" / "lighthouse"
PORT = 18432
URL = f"http://127.0.0.1:{PORT}"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PAGES = (
    "/",
    "/history",
    "/handwriting",
    "/handwriting/practice",
    "/accuracy",
    "/models",
    "/review",
    "/about",
    "/docs",
)
PICTURES = 40
SPEED = 1500
"""Pixels a second that the wheel turns: a screen and a half, as fast as one can still see
something.
"""

LATENCY = """() => {
  window.latencies = [];
  const channel = new MessageChannel(), waiting = [];
  channel.port1.onmessage = () =>
    latencies.push(...waiting.splice(0).map((at) => performance.now() - at));
  document.querySelector("#pad canvas").addEventListener("pointermove", (event) => {
    waiting.push(event.timeStamp);
    if (waiting.length === 1) requestAnimationFrame(() => channel.port2.postMessage(0));
  });
}"""
FRAMES = """() => {
  window.frames_ = [];
  const tick = (at) => { frames_.push(at); requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
}"""


def pictures(folder: Path) -> list[str]:
    """A few drawn strokes as PNG files in the store; returns their keys."""
    (folder / "objects" / "images").mkdir(parents=True)
    keys = []
    for number in range(PICTURES):
        picture = Image.new("L", (280, 280), 255)
        points = [(60 + (number * 37 * step) % 160, 40 + step * 50) for step in range(5)]
        ImageDraw.Draw(picture).line(points, fill=20, width=18, joint="curve")
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        keys.append(f"images/stroke-{number}.png")
        (folder / "objects" / keys[-1]).write_bytes(buffer.getvalue())
    return keys


def quantiles(values: list[float]) -> str:
    """Median, 95th percentile and the largest."""
    ordered = sorted(values)
    middle = statistics.median(ordered)
    high = ordered[int(0.95 * len(ordered))]
    return f"median {middle:.1f}, p95 {high:.1f}, most {ordered[-1]:.1f} ms"


def drawing(page: Page) -> None:
    """Strokes with a moving pointer, event after event."""
    page.goto(URL)
    page.locator("#automatic").uncheck()
    page.evaluate(LATENCY)
    box = page.locator("#pad canvas").bounding_box()
    if box is None:
        raise RuntimeError("there is no sheet")
    for stroke in range(8):
        page.mouse.move(box["x"] + 40, box["y"] + 40 + 30 * stroke)
        page.mouse.down()
        for step in range(60):
            page.mouse.move(box["x"] + 40 + 6 * step, box["y"] + 40 + 30 * stroke + 20 * (step % 3))
        page.mouse.up()
    page.wait_for_timeout(200)
    matches = page.evaluate("latencies")
    print(f"pen to ink, {len(matches)} pointer events: {quantiles(matches)}; a frame is 16.7 ms")


def scrolling(page: Page, seconds: float, count: int) -> None:
    """The gallery, scrolled with the wheel for so long."""
    page.goto(f"{URL}/history")
    page.locator("#gallery li").nth(59).wait_for(state="attached")
    page.wait_for_timeout(500)
    page.evaluate(FRAMES)
    gesture = {
        "x": 600,
        "y": 500,
        "yDistance": -SPEED * seconds,
        "speed": SPEED,
        "gestureSourceType": "mouse",
    }
    page.context.new_cdp_session(page).send("Input.synthesizeScrollGesture", gesture)
    at = page.evaluate("frames_")
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    tiles = page.locator("#gallery li").count()
    slow = sum(gap > 20.5 for gap in gaps)
    rate = 1000 * len(gaps) / sum(gaps)
    print(
        f"gallery of {count:,}, {tiles:,} tiles reached in {seconds:.0f} s at {SPEED:,} pixels a"
        " second:"
    )
    print(f"  {rate:.1f} frames a second", end="; ")
    print(
        f"between frames {quantiles(gaps)}; {slow} of {len(gaps)} took longer than 1/50 s",
        flush=True,
    )


def lighthouse() -> None:
    """Accessibility and best practices of every page, with what falls short."""
    if not LIGHTHOUSE.exists():
        print("Lighthouse is not installed: npm install --prefix .tools lighthouse")
        return
    flags = ["--quiet", "--output=json", "--only-categories=accessibility,best-practices"]
    flags += [f"--chrome-flags=--headless=new {' '.join(FLAGS)}", "--disable-full-page-screenshot"]
    environ = {**os.environ, "CHROME_PATH": chromium()}
    for form in ("mobile", "desktop"):
        preset = ["--preset=desktop"] if form == "desktop" else []
        for path in PAGES:
            command = [str(LIGHTHOUSE), URL + path, *flags, *preset]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
            if done.returncode:
                print(f"{form:8}{path:24} {done.stderr.strip().splitlines()[-1]}")
                continue
            report = json.loads(done.stdout)
            scores = {
                name: round(100 * (entry["score"] or 0))
                for name, entry in report["categories"].items()
            }
            required = [
                ref["id"]
                for entry in report["categories"].values()
                for ref in entry["auditRefs"]
                if ref["weight"]
            ]
            failed = [name for name in required if report["audits"][name]["score"] not in (None, 1)]
            message = (
                f"accessibility {scores['accessibility']:3}  best practices"
                f" {scores['best-practices']:3}"
            )
            print(f"{form:8}{path:24}{message}  {' '.join(failed)}", flush=True)


def chromium() -> str:
    """The browser: the system's, or the one that Playwright installed."""
    sys.path.insert(0, str(ROOT / "tests"))
    import services

    return services.chromium()


def measure(browser: Browser, seconds: float, count: int) -> None:
    """Each figure in a fresh context."""
    for run in (drawing, lambda page: scrolling(page, seconds, count)):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        run(context.new_page())
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--part", choices=("all", "frames", "lighthouse"), default="all")
    supplied = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/index.db"
        web_pages.fill(database, supplied.images, pictures=pictures(Path(folder)))
        environ = {
            **os.environ,
            "LEGIBLY_STORE": f"file://{folder}/objects",
            "LEGIBLY_DATABASE": database,
        }
        environ["LEGIBLY_SWEEP_SECONDS"] = "0"
        command = [sys.executable, "-m", "legibly", "serve", "--port", str(PORT)]
        server = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            web_pages.wait_for(f"{URL}/readyz")
            urllib.request.urlopen(f"{URL}/accuracy", timeout=120).close()
            if supplied.part != "lighthouse":
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
                    measure(browser, supplied.seconds, supplied.images)
                    browser.close()
            if supplied.part != "frames":
                lighthouse()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
