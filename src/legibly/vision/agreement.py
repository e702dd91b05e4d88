"""Weighs two readings of a row: one cut into digits, one by the line reader."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from legibly.vision import lattice, line
from legibly.vision.ink import glyphs
from legibly.vision.opinions import Candidate, Opinions

LINE_WEIGHT = 1.0
"""Weight of the line reader's log probability relative to the lattice's."""
MAX_CUT_PENALTY = -6.0
"""Limit to the lattice's evidence against the line reader: digits that share an edge cannot be cut
well.
"""
POOLING_WEIGHT = 0.75
"""Weight of the log odds of each of two agreeing opinions: 0.5 is their mean, 1 would be right if
their errors were independent.
"""
MIN_DOUBT = 1e-4
LOOK_SCALES = (0.87, 1.15, 0.94, 1.07)
"""Scales of the digits for further looks at a disputed row."""
MIN_LOOK_BELIEF = 0.8
MAX_LOOK_BELIEF = 0.99
"""A row that both read alike gets further looks if its belief is between these."""
MIN_MEAN_BELIEF = 0.5
"""Least mean belief of all looks in a row that may be sure."""
LOOK_WEIGHT = 0.5
"""Weight of the log odds of a further look with the same reading."""
MAX_OTHERS = 0.5
"""No further looks if the first one calls this share of the signs no digits."""
MIN_PROBABILITY = 1e-12
DISPUTED_CERTAINTY = 0.9
"""The certainty of a row with two different readings: below the threshold of any pack."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of a row and the certainty of its cuts; whether the two readings differ, and the
    share of signs that the line reader does not take for digits.
    """

    items: tuple[Candidate, ...]
    certainty: float
    disputed: bool = False
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """One reading of a row: its digits and their log weight in the lattice."""

    items: tuple[Candidate, ...]
    score: float

    @property
    def labels(self) -> list[int]:
        """The line reader's labels for these digits."""
        return [item.label + 1 for item in self.items]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a row: its band, and the scores of the line reader."""

    band: line.Band
    scores: line.Floats

    @property
    def labels(self) -> tuple[int, ...]:
        """The most likely answer."""
        return tuple(spike.label for spike in line.spikes(self.scores))


def weigh(
    path: lattice.Path,
    row: lattice.Row,
    look: Callable[[float], Look | None],
    opinions: Opinions,
    area: float,
) -> Answer:
    """The row's digits, by the reading with the higher weight.

    `look` shows the row with digits at a multiple of the usual height. If the first look and the
    cuts differ, further looks are used as well.
    """
    items = tuple(opinions.of(hypothesis.piece) for hypothesis in path.chosen)
    first = look(1.0)
    if first is None:
        return Answer(items, path.probability)
    agreed = confirm(items, first.scores, path.probability)
    if agreed is not None:
        return _with_more_looks(agreed, first, look)
    labels = first.labels
    others = labels.count(line.OTHER) / len(labels) if labels else 1.0
    disputed = Answer(items, DISPUTED_CERTAINTY * path.probability, disputed=True, others=others)
    if others >= MAX_OTHERS:
        return disputed
    looks = [first, *(again for factor in LOOK_SCALES if (again := look(factor)) is not None)]
    return _settle(Way(items, path.score), path, row, looks, disputed, opinions, area)


def _with_more_looks(agreed: Answer, first: Look, look: Callable[[float], Look | None]) -> Answer:
    """Digits on which both readings agree; if doubtful, further looks adjust their confidence."""
    belief = float(np.prod([item.confidence for item in agreed.items])) * agreed.certainty
    if len(agreed.items) < 2 or not MIN_LOOK_BELIEF < belief < MAX_LOOK_BELIEF:
        return agreed
    looks = [again for factor in LOOK_SCALES[:2] if (again := look(factor)) is not None]
    if _mean_probability([first, *looks], first.labels) < MIN_MEAN_BELIEF:
        return replace(agreed, certainty=DISPUTED_CERTAINTY * agreed.certainty)
    items = agreed.items
    if all(again.labels == first.labels for again in looks):
        for again in looks:
            items = _pool(items, line.spikes(again.scores), own=1.0, other=LOOK_WEIGHT)
    return replace(agreed, items=items)


def _settle(
    cut: Way, path: lattice.Path, row: lattice.Row, looks: Sequence[Look], disputed: Answer,
    opinions: Opinions, area: float,
) -> Answer:  # fmt: skip
    """Combine several looks at a row, if the first one contradicts the cuts."""
    by_labels = {look.labels: look for look in reversed(looks) if line.OTHER not in look.labels}
    shares = {
        labels: _mean_probability(looks, labels) for labels in {*by_labels, tuple(cut.labels)}
    }
    best = max(shares, key=lambda labels: shares[labels])
    if best not in by_labels or not best:
        return disputed
    shown = by_labels[best]
    spikes = line.spikes(shown.scores)
    if list(best) == cut.labels:
        return _agreed_answer(cut.items, spikes, path.probability, shares[best])
    other = _by_line(row, spikes, shown.band, opinions, area)
    if other is None:
        return disputed
    by_cuts = cut.score + LINE_WEIGHT * math.log(max(shares[tuple(cut.labels)], MIN_PROBABILITY))
    by_line = max(other.score, cut.score + MAX_CUT_PENALTY) + LINE_WEIGHT * math.log(shares[best])
    if by_line <= by_cuts:
        return disputed
    certainty = DISPUTED_CERTAINTY * max(path.probability, shares[best])
    return replace(disputed, items=_with_line_opinions(other.items, spikes), certainty=certainty)


def _mean_probability(looks: Sequence[Look], labels: Sequence[int]) -> float:
    """The mean probability over all looks that the row has exactly these labels."""
    return float(np.mean([np.exp(line.log_probability(look.scores, labels)) for look in looks]))


def confirm(items: tuple[Candidate, ...], scores: line.Floats, certainty: float) -> Answer | None:
    """The digits if both readings agree; None if the line reader differs.

    `certainty` is the certainty of the cuts.
    """
    spikes = line.spikes(scores)
    labels = [spike.label for spike in spikes]
    if labels != Way(items, 0.0).labels:
        return None
    return _agreed_answer(
        items, spikes, certainty, float(np.exp(line.log_probability(scores, labels)))
    )


def _agreed_answer(
    items: tuple[Candidate, ...], spikes: Sequence[line.Spike], certainty: float, sure: float
) -> Answer:
    wrong = ((1.0 - certainty) * (1.0 - sure)) ** POOLING_WEIGHT
    return Answer(_pool(items, spikes), 1.0 - max(wrong, MIN_DOUBT))


def _by_line(
    row: lattice.Row, spikes: Sequence[line.Spike], view: line.Band, opinions: Opinions, area: float
) -> Way | None:
    """The row cut according to the line reader; None if the lattice has too little ink."""

    def log_of(hypothesis: lattice.Hypothesis, label: int) -> float:
        candidate = opinions.of(hypothesis.piece)
        return float(
            np.log(max(float(candidate.probabilities[label - 1]) * candidate.digitness, 1e-4))
        )

    labels = [spike.label for spike in spikes]
    spelled = lattice.best_spelling(row, labels, log_of, area)
    parts = _parts(row.fragments, [view.column(spike.place) for spike in spikes])
    ways = []
    if spelled is not None:
        chosen = [opinions.of(hypothesis.piece) for hypothesis in spelled[0]]
        ways.append(Way(_pool(chosen, spikes), spelled[1]))
    if parts is not None:
        opinions.ask(parts)
        chosen = [opinions.of(part) for part in parts]
        beliefs = [
            float(item.probabilities[label - 1]) * item.digitness
            for item, label in zip(chosen, labels, strict=True)
        ]
        score = float(np.log(np.maximum(beliefs, 1e-4)).sum()) - 0.2 * len(parts)
        ways.append(Way(_pool(chosen, spikes), score))
    return max(ways, key=lambda way: way.score, default=None)


def _pool(
    items: Sequence[Candidate],
    spikes: Sequence[line.Spike],
    own: float = POOLING_WEIGHT,
    other: float = POOLING_WEIGHT,
) -> tuple[Candidate, ...]:
    """Digits with both opinions combined: weighted log odds added, since the two networks make
    similar mistakes.
    """
    # A letter deceives both: their agreement on a single sign says little about its digitness.
    shares = (own, other) if len(items) > 1 else (0.5, 0.5)
    result = []
    for item, spike in zip(items, spikes, strict=True):
        both = np.maximum(item.probabilities, 1e-6) ** own
        both *= np.maximum(spike.probabilities, 1e-6) ** other
        digit = item.digitness ** shares[0] * spike.digitness ** shares[1]
        none = (1.0 - item.digitness) ** shares[0] * (1.0 - spike.digitness) ** shares[1]
        pooled = (both / both.sum()).astype(np.float32)
        digitness = digit / max(digit + none, 1e-9)
        result.append(replace(item, probabilities=pooled, digitness=digitness))
    return tuple(result)


def _with_line_opinions(
    items: Sequence[Candidate], spikes: Sequence[line.Spike]
) -> tuple[Candidate, ...]:
    """Digits as the line reader judges them: a poorly cut digit is weak evidence."""
    return tuple(
        replace(item, probabilities=spike.probabilities, digitness=spike.digitness)
        for item, spike in zip(items, spikes, strict=True)
    )


def _parts(
    fragments: Sequence[glyphs.Piece], columns: Sequence[float]
) -> list[glyphs.Piece] | None:
    """Join the fragments, and cut them if needed, into one piece per column."""
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
    """Cut a fragment vertically between every two columns, where there is least ink."""
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
