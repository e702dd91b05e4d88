"""Digits written with the mouse, as a person would."""

import math

from playwright.sync_api import Page, expect

Stroke = list[tuple[float, float]]

DIGITS: dict[str, list[Stroke]] = {
    "0": [
        [
            (0.5 + 0.17 * math.sin(t * math.pi / 12), 0.5 - 0.28 * math.cos(t * math.pi / 12))
            for t in range(25)
        ]
    ],
    "1": [[(0.5, 0.22), (0.5, 0.8)]],
    "4": [[(0.42, 0.22), (0.3, 0.55), (0.7, 0.55)], [(0.6, 0.3), (0.58, 0.82)]],
    "7": [[(0.3, 0.28), (0.5, 0.27), (0.68, 0.27), (0.6, 0.45), (0.5, 0.62), (0.42, 0.8)]],
}


def write(page: Page, digit: str, *, left: float = 0.0, scale: float = 1.0) -> None:
    """Write one digit on the sheet; `left` moves it, in sides of the sheet."""
    draw(page, DIGITS[digit], left=left, scale=scale)


def draw(page: Page, strokes: list[Stroke], *, left: float = 0.0, scale: float = 1.0) -> None:
    """Draw strokes on the sheet."""
    page.locator("#pad canvas").scroll_into_view_if_needed()
    box = page.locator("#pad canvas").bounding_box()
    assert box is not None

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = 0.5 + (point[0] - 0.5) * scale + left
        y = 0.5 + (point[1] - 0.5) * scale
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    for stroke in strokes:
        page.mouse.move(*at(stroke[0]))
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*at(point), steps=4)
        page.mouse.up()


def practise(page: Page, *, count: int) -> str:
    """Write what practice asks for, of the digits that are here, as its answer number `count`; what
    that was.
    """
    requested = page.locator("#ask").get_attribute("data-wanted") or ""
    while requested not in DIGITS:
        page.keyboard.press("s")
        requested = page.locator("#ask").get_attribute("data-wanted") or ""
    write(page, requested)
    page.keyboard.press("Enter")
    expect(page.locator("#results li")).to_have_count(count)
    return requested


def answers(page: Page, text: str) -> None:
    """The card shows this answer."""
    expect(page.locator("#card [data-answer]")).to_have_attribute("data-answer", text)
