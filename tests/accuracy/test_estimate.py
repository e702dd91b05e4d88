"""The estimate that leads the report covers the truth where the plain share of labels does not."""

import random
from datetime import UTC, datetime

from legibly.accuracy import report
from legibly.accuracy.engines import reference
from legibly.statistics import aggregates

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
US = int(NOW.timestamp()) * 1_000_000


def _world(draw: random.Random, *, answers: bool) -> tuple[float, dict[str, object]]:
    """A thousand readings of a machine that is right 9 times in 10; labels as people give them.

    A tenth is asked; everybody else labels a mistake in 3 cases of 10 and a success in 1 of 50.
    With `answers`, the asked answer more rarely where the machine was sure (there is nothing to
    mend).
    """
    rows = []
    reads = []
    right = 0
    for number in range(3000):
        confidence = 1 - 0.5 * draw.random() ** 4
        true = draw.random() < confidence
        right += true
        image = f"{number:06d}"
        predicted = "1"
        actual = "1" if true else "7"
        bin_ = aggregates.bin_of(aggregates.in_millionths(confidence))
        reads.append(aggregates.Read("2026-11-22", "digits@1", "read", predicted, bin_, 1))
        if number % 5 == 0:
            source = "asked"
            arguments = not answers or draw.random() < (0.9 if confidence < 0.9 else 0.35)
        else:
            source = "volunteered"
            arguments = draw.random() < (0.02 if true else 0.3)
        if arguments:
            millionths = aggregates.in_millionths(confidence)
            rows.append(reference.Row(image, "digits@1", source, predicted, actual, millionths, US))
    return right / 3000, report.build(reference.table(rows, reads=reads if answers else ()))


def _covered(*, answers: bool, field: str, runs: int = 120) -> float:
    draw = random.Random(20261122)
    hits = 0
    for _ in range(runs):
        truth, result = _world(draw, answers=answers)
        share = result["accuracy"] if field == "accuracy" else result["estimate"]["accuracy"]  # type: ignore[index]
        hits += share["low"] <= truth <= share["high"]  # type: ignore[index]
    return hits / runs


def test_asked_labels_cover_the_truth_where_all_labels_do_not() -> None:
    """The 95 % interval of the estimate holds the truth in at least 90 % of 120 worlds, the naive
    one in under 10 %.
    """
    assert _covered(answers=False, field="estimate") >= 0.9
    assert _covered(answers=False, field="accuracy") < 0.1


def test_weights_mend_who_answers() -> None:
    """Where unsure answers get a label more often, weighting by the readings still covers the
    truth.
    """
    assert _covered(answers=True, field="estimate") >= 0.9


def test_too_few_asked_labels_do_not_lead() -> None:
    """With 19 asked labels the report leads with all labels, and says that these look worse than
    the truth.
    """
    rows = [reference.Row(f"a{n}", "d@1", "asked", "1", "1", 900_000, US) for n in range(19)]
    rows += [reference.Row(f"v{n}", "d@1", "volunteered", "1", "7", 900_000, US) for n in range(19)]
    result = report.build(reference.table(rows))["estimate"]
    assert (result["basis"], result["pairs"]) == ("all", 38)
    assert "volunteered" in result["why"].lower()


def test_the_gap_between_volunteers_and_the_asked_is_shown() -> None:
    """Volunteered labels that are worse come with the interval of the difference."""
    rows = [reference.Row(f"a{n}", "d@1", "asked", "1", "1", 900_000, US) for n in range(100)]
    rows += [
        reference.Row(f"v{n}", "d@1", "volunteered", "1", "7", 900_000, US) for n in range(100)
    ]
    gap = report.build(reference.table(rows))["estimate"]["volunteered_less_asked"]
    assert gap["value"] == -1.0
    assert gap["high"] < -0.9
