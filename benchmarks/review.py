"""How long a key press in review takes until the next picture is on the screen, with many images.

    python benchmarks/review.py [--images 100000] [--presses 300] [--people 1]

Fills an index with synthetic readings, as `web_pages.py` does, which take turns with ten pictures
in a folder store; starts the program and Chromium, and judges one picture after the other with the
Enter key. Measured in the page: from the event's own time stamp to the frame that has the next
picture, decoded. Once at the pace of a quick person (a key every 150 ms) and once with each key
pressed as soon as the picture is there. Prints milliseconds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import web_pages
from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from legibly import store
from legibly.people import accounts

PASSWORD = "four unrelated words"
WARM_UP = 5
WATCH = """
window.measured = [];
addEventListener("keydown", (event) => {
  const shown = () => document.querySelector("#card img");
  const before = shown()?.src;
  const look = () => {
    const picture = shown();
    if (picture && picture.src !== before && picture.complete && picture.naturalWidth)
      picture.decode().then(() =>
        requestAnimationFrame(() => measured.push(performance.now() - event.timeStamp)));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}, true);
"""


def draw(objects: Path) -> list[str]:
    """Ten pictures of a 7 in a folder store; their keys."""
    matches = [f"images/{n}.png" for n in range(10)]
    (objects / "images").mkdir(parents=True)
    for n, key in enumerate(matches):
        picture = Image.new("L", (280, 280), 255)
        ImageDraw.Draw(picture).line(
            [(70 + n, 60), (205, 60 + n), (120, 235)], fill=20, width=22, joint="curve"
        )
        picture.save(objects / key)
    return matches


def press(page: Page, count: int, *, pace_seconds: float) -> list[float]:
    """Judge so many pictures; milliseconds of each."""
    page.evaluate("measured.length = 0")
    for n in range(count):
        begin = time.perf_counter()
        page.keyboard.press("Enter")
        page.wait_for_function(f"measured.length === {n + 1}", timeout=20_000)
        time.sleep(max(0.0, pace_seconds - (time.perf_counter() - begin)))
    return list(page.evaluate("measured"))


def report(name: str, times: list[float]) -> None:
    """One line."""
    times = sorted(times[WARM_UP:])
    late = sum(time > 100 for time in times)
    p95 = times[int(0.95 * len(times))]
    print(
        f"{name:28}{statistics.median(times):10.1f}{p95:10.1f}{times[-1]:10.1f}{late:8} of"
        f" {len(times)}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--presses", type=int, default=300)
    parser.add_argument("--people", type=int, default=1)
    supplied = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = f"sqlite:///{folder}/index.db"
        url = f"file://{folder}/objects"
        web_pages.fill(database, supplied.images, pictures=draw(folder / "objects"))
        accounts.Accounts(store.open_store(url, environ={})).add(
            "rita", role="reviewer", password=PASSWORD
        )
        environ = {
            **os.environ,
            "LEGIBLY_STORE": url,
            "LEGIBLY_DATABASE": database,
            "LEGIBLY_ACCOUNTS": "on",
        }
        environ |= {"LEGIBLY_REVIEW_PEOPLE": str(supplied.people), "LEGIBLY_SWEEP_SECONDS": "0"}
        environ["LEGIBLY_ADMIN_PASSWORD"] = PASSWORD
        command = [sys.executable, "-m", "legibly", "serve", "--port", "18432"]
        server = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            judge("http://127.0.0.1:18432", supplied)
        finally:
            server.terminate()
            server.wait()


def judge(server: str, options: argparse.Namespace) -> None:
    """Sign in, and press keys."""
    web_pages.wait_for(f"{server}/readyz")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
        page.add_init_script(WATCH)
        page.goto(f"{server}/login")
        page.get_by_label("Name").fill("rita")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.goto(f"{server}/review")
        page.wait_for_function("document.querySelector('#card img')?.naturalWidth > 0")
        print(
            f"{options.images:,} images, {options.people} to agree; milliseconds from key to"
            " picture"
        )
        print(f"{'':28}{'median':>10}{'p95':>10}{'slowest':>10}{'over 100':>10}")
        report("a key every 150 ms", press(page, options.presses + WARM_UP, pace_seconds=0.15))
        report("as quick as it goes", press(page, options.presses + WARM_UP, pace_seconds=0))
        chromium.close()


if __name__ == "__main__":
    main()
