"""Changing the model on evidence: the comparison, the rule, the record."""

import json
from collections.abc import Sequence

import pytest

import pictures
from legibly import errors, records, store
from legibly.evaluation import (
    comparison,
    comparison_text,
    datasets,
    promotion_history,
    promotion_rule,
)
from legibly.evaluation.evaluation import Outcome
from legibly.index.sql import open_index
from legibly.packs.opening import open_model
from legibly.pipeline import Service, UploadDetails
from legibly.statistics import paired
from legibly.vision.reading import Reader

OLD = records.Model("digits", "0" * 12)
NEW = records.Model("digits", "1" * 12)


def outcome(
    *, right: bool, verdict: str = "read", source: str = "asked", name: str = "one"
) -> Outcome:
    """One picture of a 7, read as a 7 or as a 1."""
    return Outcome(name, "7", "", source, "7" if right else "1", verdict, 0.9, 2.0)


def couples(
    both: int = 0,
    lost: int = 0,
    won: int = 0,
    neither: int = 0,
    *,
    unsure: bool = False,
    source: str = "asked",
) -> list[comparison.Couple]:
    """So many couples of each kind; wrong answers are `unsure` in both, or `read` in both."""
    wrong = "unsure" if unsure else "read"
    kinds = ((both, True, True), (lost, True, False), (won, False, True), (neither, False, False))
    return [
        comparison.Couple(
            *(
                outcome(right=entry, verdict="read" if entry else wrong, source=source)
                for entry in (present, candidate)
            )
        )
        for count, present, candidate in kinds
        for _ in range(count)
    ]


def build(
    verdicts: Sequence[comparison.Couple], *, live: bool = True, margin: float = 0.05
) -> records.Json:
    margins = comparison.Margins(margin)
    return comparison.build(
        verdicts, present=OLD, candidate=NEW, data="here", live=live, margins=margins
    )


def test_a_store_is_judged_at_any_time_and_a_dataset_once() -> None:
    """The same counts give the wider interval where people may look again, and both say which one
    it is.
    """
    matches = couples(both=280, lost=5, won=10, neither=5)
    once = build(matches, live=False)
    ever = build(matches)
    table = paired.Table(280, 5, 10, 5)
    assert once["right"]["difference"] == paired.difference(table).to_json()
    assert ever["right"]["difference"] == paired.at_any_time(table).to_json()
    assert ever["right"]["single_look"] == once["right"]["difference"]
    assert (once["looks"], once["data"]["basis"]) == ("one", "dataset")
    assert (ever["looks"], ever["data"]["basis"]) == ("any", "asked")
    assert once["right"]["p"] == pytest.approx(paired.mcnemar(5, 10))
    assert once["right"]["table"] == {
        "both": 280,
        "only_present": 5,
        "only_candidate": 10,
        "neither": 5,
    }
    assert (once["present"]["errors"], once["candidate"]["errors"]) == (15, 10)
    assert (len(once["lost"]), len(once["won"])) == (5, 10)
    assert json.loads(json.dumps(ever)) == ever


@pytest.mark.parametrize(
    ("verdicts", "verdict", "says"),
    [
        (
            couples(both=900, won=100),
            "better",
            "Better: digits 111111111111 reads 10.00 points more",
        ),
        (
            couples(both=900, lost=100),
            "worse",
            "Worse: digits 111111111111 reads 10.00 points fewer",
        ),
        (couples(both=900, lost=3, won=3), "no_worse", "No worse within the margin of 5.00 points"),
        (couples(both=29, won=1), "too_few", "more labels will decide"),
    ],
)
def test_the_sentence(verdicts: list[comparison.Couple], verdict: str, says: str) -> None:
    """Better, worse, no worse within the margin, or how many more labels would tell."""
    result = build(verdicts)
    assert result["right"]["verdict"] == verdict
    assert says in comparison_text.sentence(result)
    assert comparison_text.lines(result)[-1] == comparison_text.sentence(result)


def test_labels_are_kept_apart_and_those_asked_for_lead() -> None:
    """Volunteered labels, in which the present model's mistakes abound, do not count where enough
    were asked for.
    """
    requested = couples(both=40)
    volunteered = couples(both=10, won=30, source="volunteered")
    result = build(requested + volunteered)
    assert (result["data"]["basis"], result["data"]["n"]) == ("asked", 40)
    assert result["right"]["difference"]["value"] == 0
    assert result["by_source"]["volunteered"]["difference"]["value"] == 0.75
    assert "volunteered" in "\n".join(comparison_text.lines(result))
    at_upload = build(couples(both=19) + couples(both=25, source="at_upload"))
    assert (at_upload["data"]["basis"], at_upload["data"]["n"]) == ("at_upload", 25)


def test_volunteered_labels_alone_promote_nothing() -> None:
    """However good the candidate looks on them; the answer says how many labels of the other kind
    are missing.
    """
    result = build(couples(both=500, won=100, source="volunteered") + couples(both=19))
    assert result["right"]["verdict"] == "better"
    decision = promotion_rule.decide(result)
    assert not decision.passed
    assert "favour the candidate" in decision.says
    assert "favour the candidate" in promotion_rule.refusal(result, decision).message
    assert decision.missing is not None
    assert decision.missing >= 20 - 19


def test_the_rule_passes_what_is_shown_to_be_no_worse() -> None:
    """Right answers, confident mistakes and coverage all within their margins."""
    decision = promotion_rule.decide(build(couples(both=400, lost=2, won=3, neither=5)))
    assert (decision.passed, decision.missing) == (True, 0)


def test_too_few_labels_promote_nothing_and_so_many_more_would() -> None:
    """The number that the refusal names is enough, if the next labels look like these."""
    matches = couples(both=48, lost=1, won=1)
    decision = promotion_rule.decide(build(matches))
    assert not decision.passed
    assert decision.missing is not None
    times = 1 + decision.missing // len(matches) + 1
    assert promotion_rule.decide(build(matches * times)).passed
    assert comparison_text.about(decision.missing) in decision.says


def test_more_confident_mistakes_are_not_made_good_by_more_right_answers() -> None:
    """A candidate that is right more often, but says more wrong things with confidence, stays
    out.
    """
    cautious = outcome(right=False, verdict="unsure")
    bold = outcome(right=False)
    matches = couples(both=800, won=120, unsure=True) + [comparison.Couple(cautious, bold)] * 80
    result = build(matches)
    assert result["right"]["verdict"] == "better"
    decision = promotion_rule.decide(result)
    assert not decision.passed
    assert "`read` but wrong may be" in decision.says
    assert decision.missing is None
    refusal = promotion_rule.refusal(result, decision)
    assert "calls sure may be" in refusal.message
    assert "would not change that" in refusal.remedy


def test_a_candidate_that_is_never_sure_stays_out() -> None:
    """Answering `unsure` to everything makes no confident mistake, and no use either."""
    shy = comparison.Couple(outcome(right=True), outcome(right=True, verdict="unsure"))
    result = build([shy] * 900)
    decision = promotion_rule.decide(result)
    assert not decision.passed
    assert "sure answers may be 100" in promotion_rule.refusal(result, decision).message
    assert "answers `read` may be" in decision.says


def test_a_candidate_that_is_seen_to_be_worse_is_not_asked_for_more_labels() -> None:
    """Where more of the same labels cannot help, the refusal says so."""
    decision = promotion_rule.decide(build(couples(both=80, lost=20)))
    assert (decision.passed, decision.missing) == (False, None)
    assert "would not change that" in decision.says


@pytest.mark.parametrize(
    ("count", "text"), [(1, "1"), (99, "99"), (167, "170"), (1361, "1,400"), (10001, "11,000")]
)
def test_counts_are_told_roughly(count: int, text: str) -> None:
    """Two digits, never too few."""
    assert comparison_text.about(count) == text


def change(number: int, kind: str, before: str, after: str) -> promotion_history.Change:
    sides = {
        "before": promotion_history.Choice(before, OLD),
        "after": promotion_history.Choice(after, NEW),
    }
    return promotion_history.Change(
        number=number,
        kind=kind,  # type: ignore[arg-type]
        at=records.now(),
        by="me",
        reason="why",
        **sides,  # type: ignore[arg-type]
    )


def test_changes_are_kept_in_order_and_never_overwritten() -> None:
    """What was written is read again, equal; a number that is taken cannot be taken again."""
    remaining = store.open_store("memory://", environ={})
    result = [change(1, "promote", "a", "b"), change(2, "rollback", "b", "a")]
    for entry in result:
        promotion_history.write(remaining, entry)
    assert promotion_history.changes(remaining) == result
    with pytest.raises(errors.Conflict, match="just now"):
        promotion_history.write(remaining, change(2, "promote", "a", "c"))
    assert promotion_history.changes(remaining) == result
    remaining.create(f"{promotion_history.FOLDER}000003.json", b"{}")
    with pytest.raises(errors.Invalid, match="000003"):
        promotion_history.changes(remaining)


def test_what_stands_is_the_newest_promotion_not_taken_back() -> None:
    """Rollbacks undo promotions one by one; a model switched to by hand is not what was
    promoted.
    """
    result = [
        change(1, "promote", "a", "b"),
        change(2, "promote", "b", "c"),
        change(3, "rollback", "c", "b"),
    ]
    assert promotion_history.last_promotion(result, setting="b").number == 1
    with pytest.raises(errors.Conflict, match="in use is c"):
        promotion_history.last_promotion(result, setting="c")
    with pytest.raises(errors.NotFound, match="no promotion"):
        promotion_history.last_promotion([*result, change(4, "rollback", "b", "a")], setting="a")
    with pytest.raises(errors.NotFound, match="no promotion"):
        promotion_history.last_promotion([], setting="a")


def test_the_labelled_pictures_of_a_store() -> None:
    """Pictures with their newest label and why it was given; withdrawn labels and deleted pictures
    are left out.
    """
    remaining = store.open_store("memory://", environ={})
    index = open_index("sqlite:///:memory:")
    reader = Reader(open_model("digits"))
    service = Service(
        store=remaining, index=index, reader=reader, max_bytes=10**6, max_pixels=10**6
    )
    first = service.receive(pictures.png(), UploadDetails(label="7"))
    second = service.receive(pictures.png(pictures.ZERO))
    third = service.receive(pictures.png(pictures.ONE), UploadDetails(label="1"))
    service.receive(pictures.png())
    service.label(second.id, "0", source="asked")
    service.label(third.id, None)
    matches = comparison.labelled(index, remaining)
    assert {(entry.name, entry.text, entry.source) for entry in matches} == {
        (first.id, "7", "at_upload"),
        (second.id, "0", "asked"),
    }
    assert comparison.labelled(index, remaining, since="2999-01-01") == []
    remaining.remove([first.key])
    ticks: list[None] = []
    (couple,) = comparison.read(reader, reader, matches, tick=lambda: ticks.append(None))
    assert couple.candidate.right
    assert couple.present.name == second.id
    assert len(ticks) == 2
    index.close()


def test_a_comparison_reads_no_longer_than_it_may() -> None:
    """With no time left no picture is read: a request ends however many labels there are."""
    samples = [datasets.Sample(name="a.png", text="7", load=lambda: b"")]
    reader = Reader(open_model("digits"))
    assert comparison.read(reader, reader, samples, seconds=-1.0) == []
