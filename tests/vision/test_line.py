"""Rows read at once: the network's input, its answer, and how it is weighed against cuts."""

import io
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pictures
from legibly import records
from legibly.vision import line, page
from legibly.vision.ink import glyphs, paper
from legibly.vision.reading import Reader

Floats = NDArray[np.float32]


def scores(*places: int) -> Floats:
    """An answer that is nearly sure of one label at each place."""
    values = np.full((len(places), line.OTHER + 1), 0.001, np.float32)
    values[np.arange(len(places)), places] = 1.0
    return np.asarray(np.log(values / values.sum(axis=1, keepdims=True)), np.float32)


def test_repeats_are_one_spike_unless_a_blank_parts_them() -> None:
    """`1 1 _ 1 2` holds three labels, each at the place where it peaks."""
    spikes = line.spikes(scores(1, 1, line.BLANK, 1, 2))
    assert [(spike.label, spike.place) for spike in spikes] == [(1, 0), (1, 3), (2, 4)]
    assert all(spike.digitness > 0.99 for spike in spikes)


def test_the_probability_counts_every_way_to_place_the_labels() -> None:
    """Summed over all sequences of places that collapse to the labels, as by trying them all."""
    rng = np.random.default_rng(0)
    values = rng.random((4, line.OTHER + 1)).astype(np.float32)
    answer = np.log(values / values.sum(axis=1, keepdims=True)).astype(np.float32)
    for labels in ([1], [1, 1], [1, 2], []):
        total = 0.0
        for path in itertools.product((line.BLANK, 1, 2), repeat=4):
            changes = zip(path, (line.BLANK, *path), strict=False)
            if [now for now, before in changes if now not in (before, line.BLANK)] == labels:
                total += float(np.exp(answer[np.arange(4), list(path)].sum()))
        assert line.log_probability(answer, labels) == pytest.approx(np.log(total), abs=1e-4)


def blocks(
    *boxes: glyphs.Box, height: int = 200, width: int = 400
) -> tuple[paper.Ink, list[glyphs.Piece]]:
    """Ink with one solid piece a box."""
    mask = np.zeros((height, width), np.bool_)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    pieces = [
        glyphs.Piece(box, np.ones((box[3] - box[1], box[2] - box[0]), np.bool_)) for box in boxes
    ]
    ink = paper.Ink(mask.astype(np.float32), mask, 0.0, light=False, doubt=0.0)
    return ink, pieces


def test_a_row_that_falls_is_made_level() -> None:
    """Digits of a slanted row stand in the middle of the line, 20 pixels high."""
    ink, row = blocks((40, 40, 60, 80), (120, 60, 140, 100), (200, 80, 220, 120))
    view = line.band(ink, row, [], 40.0)
    assert view is not None
    inked = np.flatnonzero(view.values.max(axis=1) > 0.5)
    assert (inked[0], inked[-1]) == pytest.approx((6, 25), abs=1.5)
    assert view.values.shape[1] % line.STEP == 0


def test_ink_of_other_rows_is_left_out() -> None:
    """What another row reaches into the line is not seen."""
    ink, pieces = blocks((40, 40, 60, 80), (100, 40, 120, 80), (60, 84, 100, 124))
    view = line.band(ink, pieces[:2], pieces[2:], 40.0)
    assert view is not None
    assert view.values[-4:].max() < 0.2


def test_a_row_too_wide_is_not_read_at_once() -> None:
    """A band a hundred digit heights wide costs no run of the network."""
    ink, row = blocks((0, 40, 20, 60), (4000, 40, 4020, 60), width=4100)
    assert line.band(ink, row, [], 20.0) is None


def zeros(count: int, step: int) -> bytes:
    """Zeros side by side, `step` pixels from one to the next, each 60 wide: below 60 they touch."""
    image = Image.new("L", (160 + step * count, 200), 255)
    draw = ImageDraw.Draw(image)
    for number in range(count):
        left = 60 + step * number
        draw.ellipse((left, 55, left + 60, 145), outline=0, width=6)
    return pictures.encoded(image)


def test_two_ways_that_differ_are_never_sure(reader: Reader) -> None:
    """Where the line reader answers something else than the cuts, the page is below `read`."""
    pixels = np.asarray(Image.open(io.BytesIO(zeros(3, 80))))

    def contrary(lines: Floats) -> Floats:
        return np.stack([scores(*[5] * (lines.shape[3] // line.STEP))] * len(lines))

    alone = page.analyse(pixels, reader._judge)
    disputed = page.analyse(pixels, reader._judge, contrary)
    assert [item.label for item in alone.items] == [0, 0, 0]
    assert disputed.certainty < 0.95 * alone.certainty


def three_zeros(lines: Floats) -> Floats:
    """The answer 000 for any line."""
    others = [line.BLANK] * (lines.shape[3] // line.STEP - 6)
    return np.stack([scores(1, 0, 1, 0, 1, 0, *others)] * len(lines))


def is_usual(lines: Floats) -> bool:
    """Whether the digits of a line have their usual height, as at the first look."""
    inked = np.flatnonzero(lines[0, 0].max(axis=1) > 0.5)
    return bool(abs(np.ptp(inked) + 1 - line.DIGIT) <= 1)


def test_further_looks_settle_a_dispute(reader: Reader) -> None:
    """Where only the first look speaks against the cuts, the page is surer than where all do."""
    pixels = np.asarray(Image.open(io.BytesIO(zeros(3, 80))))

    def contrary(lines: Floats) -> Floats:
        return np.stack([scores(*[5] * (lines.shape[3] // line.STEP))] * len(lines))

    def mended(lines: Floats) -> Floats:
        return contrary(lines) if is_usual(lines) else three_zeros(lines)

    settled = page.analyse(pixels, reader._judge, mended)
    assert [item.label for item in settled.items] == [0, 0, 0]
    assert settled.belief > 1.05 * page.analyse(pixels, reader._judge, contrary).belief


def test_further_looks_judge_digits_in_doubt(reader: Reader) -> None:
    """Digits that network and line reader read alike, but not surely, are surer where further looks
    read the same, and never sure where these read something else.
    """
    pixels = np.asarray(Image.open(io.BytesIO(zeros(3, 80))))

    def doubting(crops: Floats) -> tuple[Floats, Floats]:
        probabilities, digitness = reader._judge(crops)
        return 0.8 * probabilities + 0.02, digitness

    def wavering(lines: Floats) -> Floats:
        if is_usual(lines):
            return three_zeros(lines)
        return np.stack([scores(*[5] * (lines.shape[3] // line.STEP))] * len(lines))

    agreed = page.analyse(pixels, doubting, three_zeros).belief
    assert agreed > 0.97
    assert page.analyse(pixels, doubting, wavering).belief < 0.95


@pytest.mark.parametrize("step", [57, 64])
def test_zeros_that_share_a_rim_are_counted(reader: Reader, step: int) -> None:
    """Three zeros in a row are 000, whether they touch or not."""
    assert reader.read(zeros(3, step)).reading.text == "000"


def test_a_wide_lone_zero_is_not_cut(reader: Reader) -> None:
    """A zero wider than high is one digit, surely: the line reader confirms it."""
    image = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(image).ellipse((50, 70, 230, 200), outline=0, width=14)
    reading = reader.read(pictures.encoded(image)).reading
    assert (reading.verdict, reading.text) == ("read", "0")


@pytest.mark.parametrize("xs", [(70, 80, 120, 160, 170), (70, 90, 120, 150, 170)])
def test_a_letter_is_a_single_item_that_is_no_digit(reader: Reader, xs: tuple[int, ...]) -> None:
    """An M and a W are not cut until their parts look like digits."""
    ys = (180, 60, 130, 60, 180) if xs[1] == 80 else (60, 180, 90, 180, 60)
    image = Image.new("L", (240, 240), 255)
    ImageDraw.Draw(image).line(list(zip(xs, ys, strict=True)), fill=0, width=10, joint="curve")
    reading = reader.read(pictures.encoded(image)).reading
    assert reading.verdict == "not_a_digit"
    assert len(reading.items) == 1
    assert reading.confidence > 0.9


def test_ink_left_out_is_counted(reader: Reader) -> None:
    """A reading says which share of the ink is in none of its items, and keeps it when stored."""
    reading = reader.read(zeros(2, 80)).reading
    assert reading.left_out == 0.0
    assert records.Reading.from_json(reading.to_json()).left_out == 0.0
    older = {key: value for key, value in reading.to_json().items() if key != "left_out"}
    assert records.Reading.from_json(older).left_out is None
