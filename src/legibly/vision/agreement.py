"""Weighs two ways to read a row: cut into digits, and as a line at once."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from legibly.vision import lattice, line
from legibly.vision.ink import glyphs
from legibly.vision.opinions import Candidate, Opinions

LINE_WEIGHT = 1.0
"""How much the line reader's log probability counts beside the lattice's."""
VETO = -6.0
"""The lattice speaks against the line reader's text by no more than that: of digits that share a
rim, no cut leaves any that it knows.
"""
POOLED = 0.75
"""How much of its log odds each of two agreeing opinions brings: 0.5 is their mean, 1 would be
right if they erred independently.
"""
LEAST_DOUBT = 1e-4
DISPUTED = 0.9
"""The certainty of a row that the two ways read differently: below what any pack calls sure."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a row holds, and how certain its cuts are; whether the two ways differ, and the share of
    signs that the line reader takes for no digits.
    """

    items: tuple[Candidate, ...]
    certainty: float
    disputed: bool = False
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way to read a row: its digits, and the lattice's log weight of them."""

    items: tuple[Candidate, ...]
    score: float

    @property
    def labels(self) -> list[int]:
        """The line reader's labels for these digits."""
        return [item.label + 1 for item in self.items]


def weigh(
    path: lattice.Path, row: lattice.Row, view: line.Band, scores: line.Floats, opinions: Opinions,
    area: float,
) -> Answer:  # fmt: skip
    """The row's digits, by whichever of the two ways explains more."""
    items = tuple(opinions.of(hypothesis.piece) for hypothesis in path.chosen)
    spikes = line.spikes(scores)
    cut = Way(items, path.score)
    labels = [spike.label for spike in spikes]
    agreed = confirm(items, scores, path.probability)
    if agreed is not None:
        return agreed
    disputed = Answer(items, DISPUTED * path.probability, disputed=True)
    others = labels.count(line.OTHER) / len(labels) if labels else 1.0
    if others:
        return replace(disputed, others=others)
    other = _by_line(row, spikes, view, opinions, area)
    if other is None:
        return disputed
    sure = line.log_probability(scores, labels)
    by_cuts = cut.score + LINE_WEIGHT * line.log_probability(scores, cut.labels)
    by_line = max(other.score, cut.score + VETO) + LINE_WEIGHT * sure
    if by_line <= by_cuts:
        return disputed
    certainty = DISPUTED * max(path.probability, float(np.exp(sure)))
    return replace(disputed, items=_as_line(other.items, spikes), certainty=certainty)


def confirm(items: tuple[Candidate, ...], scores: line.Floats, certainty: float) -> Answer | None:
    """The digits as both ways read them; None where the line reader reads something else.

    `certainty` is that of the cuts.
    """
    spikes = line.spikes(scores)
    labels = [spike.label for spike in spikes]
    if labels != Way(items, 0.0).labels:
        return None
    sure = float(np.exp(line.log_probability(scores, labels)))
    wrong = ((1.0 - certainty) * (1.0 - sure)) ** POOLED
    return Answer(_pooled(items, spikes), 1.0 - max(wrong, LEAST_DOUBT))


def _by_line(
    row: lattice.Row, spikes: Sequence[line.Spike], view: line.Band, opinions: Opinions, area: float
) -> Way | None:
    """The row cut as the line reader reads it; None where the lattice has too little ink for it."""

    def log_of(hypothesis: lattice.Hypothesis, label: int) -> float:
        candidate = opinions.of(hypothesis.piece)
        return float(
            np.log(max(float(candidate.probabilities[label - 1]) * candidate.digitness, 1e-4))
        )

    labels = [spike.label for spike in spikes]
    spelled = lattice.spelled(row, labels, log_of, area)
    parts = _parts(row.fragments, [view.column(spike.place) for spike in spikes])
    ways = []
    if spelled is not None:
        chosen = [opinions.of(hypothesis.piece) for hypothesis in spelled[0]]
        ways.append(Way(_pooled(chosen, spikes), spelled[1]))
    if parts is not None:
        opinions.ask(parts)
        chosen = [opinions.of(part) for part in parts]
        beliefs = [
            float(item.probabilities[label - 1]) * item.digitness
            for item, label in zip(chosen, labels, strict=True)
        ]
        score = float(np.log(np.maximum(beliefs, 1e-4)).sum()) - 0.2 * len(parts)
        ways.append(Way(_pooled(chosen, spikes), score))
    return max(ways, key=lambda way: way.score, default=None)


def _pooled(items: Sequence[Candidate], spikes: Sequence[line.Spike]) -> tuple[Candidate, ...]:
    """Digits with both opinions on them in one: log odds added, each for a part, since the two
    networks err alike.
    """
    # A letter fools both alike: that they agree on a sign alone says little about its being a
    # digit.
    share = POOLED if len(items) > 1 else 0.5
    result = []
    for item, spike in zip(items, spikes, strict=True):
        both = np.maximum(item.probabilities, 1e-6) * np.maximum(spike.probabilities, 1e-6)
        both **= POOLED
        digit = (item.digitness * spike.digitness) ** share
        none = ((1.0 - item.digitness) * (1.0 - spike.digitness)) ** share
        pooled = (both / both.sum()).astype(np.float32)
        digitness = digit / max(digit + none, 1e-9)
        result.append(replace(item, probabilities=pooled, digitness=digitness))
    return tuple(result)


def _as_line(items: Sequence[Candidate], spikes: Sequence[line.Spike]) -> tuple[Candidate, ...]:
    """Digits as the line reader judges them: what a poor cut left of one says little of it."""
    return tuple(
        replace(item, probabilities=spike.probabilities, digitness=spike.digitness)
        for item, spike in zip(items, spikes, strict=True)
    )


def _parts(
    fragments: Sequence[glyphs.Piece], columns: Sequence[float]
) -> list[glyphs.Piece] | None:
    """The fragments joined, and cut where need be, to one piece around each column."""
    groups: list[list[glyphs.Piece]] = [[] for _ in columns]
    for fragment in fragments:
        inside = [at for at, x in enumerate(columns) if fragment.box[0] <= x < fragment.box[2]]
        if len(inside) < 2:
            middle = fragment.middle[0]
            nearest = inside or [int(np.abs(np.array(columns) - middle).argmin())]
            groups[nearest[0]].append(fragment)
            continue
        for at, part in zip(inside, _split(fragment, [columns[at] for at in inside]), strict=True):
            if part is not None:
                groups[at].append(part)
    return [glyphs.merge(group) for group in groups] if all(groups) else None


def _split(fragment: glyphs.Piece, columns: Sequence[float]) -> list[glyphs.Piece | None]:
    """A fragment cut upright between each two columns, where it has least ink."""
    ink = fragment.mask.sum(axis=0)
    cuts = [0]
    for before, after in itertools.pairwise(columns):
        first = before - fragment.box[0]
        last = after - fragment.box[0]
        low = int(np.clip(first + 0.25 * (last - first), 0, fragment.width - 1))
        high = int(np.clip(last - 0.25 * (last - first), low + 1, fragment.width))
        cuts.append(low + int(ink[low:high].argmin()))
    cuts.append(fragment.width)
    parts: list[glyphs.Piece | None] = []
    for left, right in itertools.pairwise(cuts):
        mask = fragment.mask[:, left:right]
        used = np.flatnonzero(mask.any(axis=1))
        if not len(used):
            parts.append(None)
            continue
        top = int(used[0])
        bottom = int(used[-1]) + 1
        x = fragment.box[0]
        y = fragment.box[1]
        box = (x + left, y + top, x + right, y + bottom)
        parts.append(glyphs.Piece(box, mask[top:bottom]))
    return parts
