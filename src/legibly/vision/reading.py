"""Bytes in, reading out: the whole of seeing, with one model pack. Knows no transport."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly import records
from legibly.packs import pack as packs
from legibly.vision import decode, page, rows

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """What a picture is, and what it says."""

    facts: decode.Facts
    reading: records.Reading


class Reader:
    """Reads pictures with one model pack; safe to share between threads."""

    def __init__(self, pack: packs.Pack, *, max_pixels: int = 50_000_000) -> None:
        self.pack = pack
        self.model = pack.model
        self.max_pixels = max_pixels

    def read(self, data: bytes) -> Result:
        """Read one picture. Raises NotAnImage and Unusable as `decode.decode` does."""
        clock = _Clock()
        picture = decode.decode(data, max_pixels=self.max_pixels)
        clock.stop("decode")
        seen = self._see(picture, clock)
        clock.stop("find")
        reading = self._reading(seen, picture, clock)
        return Result(picture.facts, reading)

    def inputs(self, data: bytes) -> list[Floats]:
        """What the network saw of each item of the reading, in its order: (28, 28) float32, 0 paper … 1 ink."""
        picture = decode.decode(data, max_pixels=self.max_pixels)
        seen = self._see(picture, _Clock())
        return [one.crop for row in self._kept(seen) for one in row]

    def crops(self, images: NDArray[np.uint8]) -> list[records.Reading]:
        """Read crops (N, 28, 28) uint8, ink 255, that are normalised already: straight to the network."""
        scaled = images.astype(np.float32) / 255.0
        probabilities, digitness = self._judge(scaled)
        result = []
        for index in range(len(images)):
            one = page.Found((0, 0, 28, 28), scaled[index], probabilities[index], float(digitness[index]))
            seen = page.Page(((one,),), 1.0, 20.0)
            result.append(self._tell(seen, 1.0, (28, 28), {}))
        return result

    def _judge(self, crops: Floats) -> tuple[Floats, Floats]:
        return self.pack.judge(self.pack.logits(crops[:, None]))

    def _see(self, picture: decode.Picture, clock: "_Clock") -> page.Page:
        if self.pack.card.layout == "whole":
            return self._whole(picture)

        def judge(crops: Floats) -> tuple[Floats, Floats]:
            with clock.aside("classify"):
                return self._judge(crops)

        return page.see(picture.pixels, judge)

    def _whole(self, picture: decode.Picture) -> page.Page:
        """The picture as a single item, resized to the network's input."""
        wanted = self.pack.card.input
        image = Image.fromarray(picture.pixels).convert("L" if wanted.channels == 1 else "RGB")
        small = np.asarray(image.resize((wanted.width, wanted.height), Image.Resampling.BILINEAR), np.float32) / 255.0
        planes = small[None] if small.ndim == 2 else small.transpose(2, 0, 1)
        values = (wanted.low + (wanted.high - wanted.low) * planes).astype(np.float32)
        probabilities, digitness = self.pack.judge(self.pack.logits(values[None]))
        height, width = picture.pixels.shape[:2]
        one = page.Found((0, 0, width, height), planes.mean(axis=0), probabilities[0], float(digitness[0]))
        return page.Page(((one,),), 1.0, float(height))

    def _kept(self, seen: page.Page) -> list[list[page.Found]]:
        """The rows without what is no digit, unless nothing else is there."""
        limit = self.pack.card.thresholds.digit if self.pack.card.reject else 0.0
        kept = [[one for one in row if one.digitness >= limit] for row in seen.rows]
        kept = [row for row in kept if row]
        return kept or [list(row) for row in seen.rows]

    def _reading(self, seen: page.Page, picture: decode.Picture, clock: "_Clock") -> records.Reading:
        size = (picture.facts.width, picture.facts.height)
        return self._tell(seen, picture.scale, size, clock.milliseconds)

    def _tell(
        self, seen: page.Page, scale: float, size: tuple[int, int], milliseconds: dict[str, float]
    ) -> records.Reading:
        kept = self._kept(seen)
        items = [[self._item(one, scale, size) for one in row] for row in kept]
        flat = [item for row in items for item in row]
        reject = self.pack.card.reject
        verdict: records.Verdict
        if not flat:
            verdict, text, confidence = "blank", "", seen.certainty
        elif all(item.label == reject for item in flat):
            verdict, text, confidence = reject or "unknown", "", float(np.mean([item.confidence for item in flat]))
        else:
            labels = [[item.label for item in row] for row in items]
            text = rows.text(labels, [[one.box for one in row] for row in kept], seen.height)
            confidence = float(np.prod([item.confidence for item in flat])) * seen.certainty
            verdict = "read" if confidence >= self.pack.card.thresholds.read else "unsure"
        return records.Reading(
            verdict=verdict,
            text=text,
            confidence=round(min(max(confidence, 0.0), 1.0), 6),
            model=self.pack.model,
            at=records.now(),
            items=tuple(flat),
            milliseconds=milliseconds,
        )

    def _item(self, one: page.Found, scale: float, size: tuple[int, int]) -> records.Item:
        card = self.pack.card
        order = np.argsort(-one.probabilities)
        label, confidence = card.classes[int(order[0])], one.confidence
        if card.reject is not None and one.digitness < card.thresholds.digit:
            label, confidence = card.reject, 1.0 - one.digitness
        return records.Item(
            box=_box(one.box, scale, size),
            label=label,
            confidence=round(confidence, 6),
            probabilities={name: round(float(p), 6) for name, p in zip(card.classes, one.probabilities, strict=True)},
            confused_with=card.classes[int(order[1])] if len(order) > 1 else None,
        )


def _box(box: tuple[int, int, int, int], scale: float, size: tuple[int, int]) -> records.Box:
    """Pixels as decoded to `[left, top, width, height]` of the upright original."""
    left, top = round(box[0] * scale), round(box[1] * scale)
    right, bottom = min(size[0], round(box[2] * scale)), min(size[1], round(box[3] * scale))
    return left, top, max(1, right - left), max(1, bottom - top)


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()
        self._aside = 0.0

    def stop(self, stage: str) -> None:
        """Count the time since the last stop for `stage`, less what was counted aside."""
        present = time.perf_counter()
        self.milliseconds[stage] = round((present - self._last - self._aside) * 1000, 3)
        self._last, self._aside = present, 0.0

    def aside(self, stage: str) -> "_Aside":
        """Count a `with` block for another stage."""
        return _Aside(self, stage)

    def add(self, stage: str, seconds: float) -> None:
        self._aside += seconds
        self.milliseconds[stage] = round(self.milliseconds.get(stage, 0.0) + seconds * 1000, 3)


class _Aside:
    def __init__(self, clock: _Clock, stage: str) -> None:
        self._clock, self._stage = clock, stage

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._clock.add(self._stage, time.perf_counter() - self._began)
