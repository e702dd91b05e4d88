"""Our figures are scikit-learn's and statsmodels' to 1e-12 on 1,000 random cases."""

import random
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

import services
from legibly.accuracy import report
from legibly.accuracy.engines import reference
from legibly.statistics import aggregates, metrics, paired

US = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp()) * 1_000_000
CASES = 1000


def _peer(name: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return __import__(name, fromlist=["*"])
    except ImportError:
        services.missing(name.partition(".")[0], "pip install scikit-learn statsmodels")


def test_wilson_is_statsmodels() -> None:
    """Both ends of the interval, from one pair to a hundred million."""
    proportion = _peer("statsmodels.stats.proportion")
    draw = random.Random(5)
    for _ in range(CASES):
        n = int(10 ** draw.uniform(0, 8)) or 1
        right = draw.choice([0, n, draw.randint(0, n)])
        result = metrics.share(right, n)
        assert result is not None
        assert (result.low, result.high) == pytest.approx(
            proportion.proportion_confint(right, n, method="wilson"), abs=1e-12, rel=0
        )


def test_mcnemar_is_statsmodels() -> None:
    """The exact p of discordant pairs, for few and for many."""
    table = _peer("statsmodels.stats.contingency_tables")
    draw = random.Random(6)
    for _ in range(CASES):
        first, second = (draw.randint(0, int(10 ** draw.uniform(0, 3))) for _ in range(2))
        expected = (
            table.mcnemar([[10, first], [second, 3]], exact=True).pvalue if first + second else 1.0
        )
        assert paired.mcnemar(first, second) == pytest.approx(expected, abs=2e-12, rel=0)


def test_the_report_is_scikit_learn_s() -> None:
    """Accuracy, precision, recall, F1, support and the confusion matrix, of 2 to 12 classes and 1
    to 400 pairs.
    """
    sklearn = _peer("sklearn.metrics")
    draw = random.Random(6)
    for _ in range(CASES):
        names = [chr(97 + n) for n in range(draw.randint(2, 12))]
        skill = draw.random()
        true = draw.choices(names, k=draw.randint(1, 400))
        output = [label if draw.random() < skill else draw.choice(names) for label in true]
        rows = (
            reference.Row(str(n), "m@1", "asked", predicted, actual, 500_000, US)
            for n, (predicted, actual) in enumerate(zip(output, true, strict=True))
        )
        _compare(sklearn, output, true, report.build(reference.table(rows)))


def _compare(sklearn: Any, output: list[str], true: list[str], result: report.Report) -> None:
    labels = result["confusion"]["labels"]
    assert labels == sorted({*output, *true})
    assert (
        result["confusion"]["counts"]
        == sklearn.confusion_matrix(true, output, labels=labels).tolist()
    )
    assert result["accuracy"]["value"] == pytest.approx(
        sklearn.accuracy_score(true, output), abs=1e-12, rel=0
    )
    peers = sklearn.precision_recall_fscore_support(true, output, labels=labels, zero_division=0)
    for row, precision, recall, f1, support in zip(result["classes"], *peers, strict=True):
        ours = (row["precision"]["value"] or 0.0, row["recall"]["value"] or 0.0, row["f1"] or 0.0)
        assert ours == pytest.approx((precision, recall, f1), abs=1e-12, rel=0)
        assert row["support"] == support


def test_bins_lie_where_sql_puts_them() -> None:
    """Every edge and its neighbours fall into the bin that starts at or below them."""
    for edge in aggregates.EDGES:
        assert aggregates.bin_of(edge) == edge
        assert aggregates.bin_of(max(0, edge - 1)) <= edge
    assert aggregates.bin_of(1_000_000) == 999_000
    assert aggregates.bin_of(-1) == aggregates.NO_CONFIDENCE
