"""Reads bytes with one model pack. Knows nothing about transport."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from legibly import errors, records
from legibly.images import decode, pages
from legibly.packs import pack as packs
from legibly.packs import preprocessing
from legibly.packs.card import Card
from legibly.vision import explain, legibility, page, verdict
from legibly.vision.clock import Clock
from legibly.vision.legibility import Turns
from legibly.vision.signs import numbers

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Result:
    """The facts of a picture and its reading."""

    facts: decode.Facts
    reading: records.Reading


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item was read as it was: a picture (PNG bytes), two classes, and where the ink
    supports each.
    """

    picture: bytes
    where: explain.Places
    intended: str
    rival: str

    def sentence(self, gettext: Callable[[str], str] = str) -> str:
        """The explanation in words."""
        return explain.sentence(self.where, self.intended, self.rival, gettext=gettext)


class Reader:
    """Reads pictures with one model pack; thread-safe.

    The legibility of an item is measured on the crop and two rotations; with `thorough`, on all
    changes of `legibility`.
    """

    def __init__(
        self,
        pack: packs.Pack,
        *,
        max_pixels: int = 50_000_000,
        max_pages: int = 50,
        text: records.TextMode = "digits",
        thorough: bool = False,
    ) -> None:
        self.pack = pack
        self.model = pack.model
        self.max_pixels = max_pixels
        self.max_pages = max_pages
        self.text = text
        self.thorough = thorough

    def with_card(self, card: Card) -> "Reader":
        """A reader that judges by another card of the same pack."""
        return Reader(
            self.pack.with_card(card), max_pixels=self.max_pixels, max_pages=self.max_pages,
            text=self.text, thorough=self.thorough,
        )  # fmt: skip

    def read(self, data: bytes) -> Result:
        """Read one picture.

        Raises NotAnImage and Unusable as `decode.decode` does, and Unusable for a TIFF of several
        pages.
        """
        pages.refuse_pages(data)
        clock = Clock()
        picture = decode.decode(data, max_pixels=self.max_pixels)
        clock.stop("decode")
        turns = None if self.thorough else Turns(self._judge)
        view = self._analyse(picture, clock, turns)
        clock.stop("find")
        size = (picture.facts.width, picture.facts.height)
        reading = self._verdict(
            view, scale=picture.scale, size=size, milliseconds=clock.milliseconds
        )
        if reading.text and self.pack.card.layout == "ink":
            reading = self._with_legibility(reading, view, turns)
            clock.stop("legibility")
            if self.text == "numbers":
                lines = verdict.lines(view, self.pack.card)
                limit = self.pack.card.thresholds.read
                reading = numbers.with_separators(reading, picture, lines, read=limit)
        return Result(picture.facts, reading)

    def read_pages(self, data: bytes) -> Iterator[Result]:
        """Read each page of a PDF or TIFF file, or the picture. Raises as `read`."""
        if not pages.has_pages(data):
            yield self.read(data)
            return
        for page_data in pages.pages(data, max_pages=self.max_pages, max_pixels=self.max_pixels):
            yield self.read(page_data)

    def inputs(self, data: bytes) -> list[Floats]:
        """The network's input for each item of the reading: (28, 28) float32, 0 paper … 1 ink."""
        return [item.crop for item in self._items(data)]

    def explain(self, data: bytes, number: int) -> bytes:
        """The explanation of item `number` of the reading as PNG. Raises NotFound."""
        return self.explanation(data, number).picture

    def explanation(self, data: bytes, number: int, *, intended: str | None = None) -> Explanation:
        """Explain why item `number` was, or was not, read as `intended` (None: as it was read).

        The rival is the most likely other class. Raises NotFound for an unknown number or class.
        """
        item = self._item_at(data, number)
        target = self._class(item, intended)
        others = item.probabilities.copy()
        others[target] = -1.0
        rival = int(others.argmax())
        effect = explain.effect(
            item.crop, lambda crops: self.pack.logits(crops[:, None]), target, rival
        )
        names = self.pack.card.classes[target], self.pack.card.classes[rival]
        return Explanation(explain.picture(item.crop, effect), explain.places(effect), *names)

    def legibility(self, data: bytes, number: int, *, intended: str | None = None) -> float:
        """The legibility of item `number` as `intended` (None: as it was read), 0 … 1.

        Raises NotFound.
        """
        item = self._item_at(data, number)
        return float(self._legibilities([item], [self._class(item, intended)])[0])

    def crops(self, images: NDArray[np.uint8]) -> list[records.Reading]:
        """Classify crops (N, 28, 28) uint8, ink 255, that are already normalised."""
        scaled = images.astype(np.float32) / 255.0
        probabilities, digitness = self._judge(scaled)
        height, width = images.shape[1:]
        result = []
        for crop, classes, digit in zip(scaled, probabilities, digitness, strict=True):
            view = page.Page(
                ((page.Candidate((0, 0, width, height), crop, classes, float(digit)),),),
                1.0,
                float(height),
            )
            result.append(self._verdict(view, scale=1.0, size=(width, height), milliseconds={}))
        return result

    def _judge(self, crops: Floats) -> tuple[Floats, Floats]:
        return self.pack.judge(self.pack.logits(crops[:, None]))

    def _analyse(
        self, picture: decode.Picture, clock: Clock, turns: Turns | None = None
    ) -> page.Page:
        if self.pack.card.layout == "whole":
            return self._single_item(picture)
        ask = self._judge if turns is None else turns.judge

        def judge(crops: Floats) -> tuple[Floats, Floats]:
            with clock.aside("classify"):
                return ask(crops)

        return page.analyse(picture.pixels, judge, self.pack.read_line)

    def _single_item(self, picture: decode.Picture) -> page.Page:
        """The picture as a single item, prepared by the card."""
        prepared = preprocessing.picture(picture.pixels, self.pack.card)
        values = preprocessing.values(prepared, self.pack.card)[None]
        probabilities, digitness = self.pack.judge(self.pack.logits(values))
        height, width = picture.pixels.shape[:2]
        item = page.Candidate(
            (0, 0, width, height),
            np.asarray(prepared.convert("L"), np.float32) / 255.0,
            probabilities[0],
            float(digitness[0]),
        )
        return page.Page(((item,),), 1.0, float(height))

    def _verdict(
        self,
        view: page.Page,
        *,
        scale: float,
        size: tuple[int, int],
        milliseconds: dict[str, float],
    ) -> records.Reading:
        return verdict.reading(
            view,
            card=self.pack.card,
            model=self.model,
            scale=scale,
            size=size,
            milliseconds=milliseconds,
        )

    def _items(self, data: bytes) -> list[page.Candidate]:
        picture = decode.decode(data, max_pixels=self.max_pixels)
        lines = verdict.lines(self._analyse(picture, Clock()), self.pack.card)
        out = numbers.slashes(lines) if self.text == "numbers" else ()
        items = [item for row in lines for item in row]
        return [item for index, item in enumerate(items) if index not in out]

    def _item_at(self, data: bytes, number: int) -> page.Candidate:
        items = self._items(data)
        if not 0 <= number < len(items):
            raise errors.NotFound(
                f"the picture has {len(items)} items, counted from 0.", where=f"item {number}"
            )
        if self.pack.card.layout == "whole":
            raise errors.NotFound(
                "only ink can be explained; this model takes whole pictures.", where=self.model.name
            )
        return items[number]

    def _class(self, item: page.Candidate, intended: str | None) -> int:
        if intended is None:
            return int(item.probabilities.argmax())
        if intended not in self.pack.card.classes:
            known = ", ".join(self.pack.card.classes)
            raise errors.NotFound(
                "the model knows no such class.", where=intended, remedy=f"Known are {known}."
            )
        return self.pack.card.classes.index(intended)

    def _legibilities(self, items: list[page.Candidate], intended: list[int]) -> Floats:
        crops = legibility.changed(np.stack([item.crop for item in items]))
        probabilities, digitness = self._judge(crops.reshape(-1, *crops.shape[2:]))
        return legibility.measure(probabilities, digitness, np.array(intended))

    def _with_legibility(
        self, reading: records.Reading, view: page.Page, turns: Turns | None
    ) -> records.Reading:
        candidates = [item for row in verdict.lines(view, self.pack.card) for item in row]
        targets = [int(item.probabilities.argmax()) for item in candidates]
        if turns is None:
            values = self._legibilities(candidates, targets)
        else:
            turned = turns.measure(np.array([item.crop for item in candidates]), np.array(targets))
            confidences = np.array([item.confidence for item in candidates])
            values = np.asarray((confidences + 2.0 * turned) / 3.0, np.float32)
        items = [
            dataclasses.replace(item, legibility=round(float(value), 6))
            for item, value in zip(reading.digits, values, strict=True)
        ]
        marks = reading.items[len(items) :]
        return dataclasses.replace(reading, items=(*items, *marks))
