"""The rule for when a candidate may replace the present model.

Three things must be shown, each by the lower end of a 95 % paired interval: right answers are fewer
by at most a margin, wrong sure answers (`read`) are more by at most the same margin, and answers
that need no person are fewer by at most a wider margin. Since all three must hold, the chance of
promoting a model that is worse in any of them by its margin is at most that of one interval's lower
end: 2.5 %.
"""

from dataclasses import dataclass

from legibly import errors
from legibly.evaluation import comparison_text
from legibly.records import Json
from legibly.statistics import estimate

_REASONS = {
    "right": "right answers may be {} points fewer",
    "safe": "answers `read` but wrong may be {} points more",
    "coverage": "answers `read` may be {} points fewer",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to promote, and why; `missing` more labels would decide (None: no number would)."""

    passed: bool
    says: str
    missing: int | None

    def to_json(self) -> Json:
        return {"passed": self.passed, "says": self.says, "missing": self.missing}


def refusal(comparison: Json, decision: Decision) -> errors.Conflict:
    """The error for a candidate that is not promoted, with the first thing that is not shown."""
    count = comparison_text.about(decision.missing or 0)
    if decision.missing is None:
        remedy = "More labels like these would not change that; a reason replaces the proof."
    else:
        remedy = "Some {count} more labels like these would show it; a reason replaces the proof."
    if comparison["data"]["basis"] == "all":
        message = "labels that people volunteer cannot show it, since they favour the candidate."
        return errors.Conflict(message, remedy=remedy, count=count)
    name = _failed(comparison)[0]
    if name == "right":
        message = (
            "not shown to be no worse: right answers may be {worst} points fewer ({margin}"
            " allowed)."
        )
    elif name == "safe":
        message = (
            "not shown to be no worse: wrong answers that it calls sure may be {worst} points more"
            " ({margin} allowed)."
        )
    else:
        message = (
            "not shown to be no worse: sure answers may be {worst} points fewer ({margin} allowed)."
        )
    worst = comparison_text.points(max(0.0, -comparison[name]["difference"]["low"]))
    margin = comparison_text.points(comparison[name]["margin"])
    return errors.Conflict(message, remedy=remedy, worst=worst, margin=margin, count=count)


def _failed(comparison: Json) -> list[str]:
    return [
        name
        for name in _REASONS
        if comparison[name]["difference"]["low"] <= -comparison[name]["margin"]
    ]


def decide(comparison: Json) -> Decision:
    """Apply the rule to the result of `comparison.build`."""
    if comparison["data"]["basis"] == "all":
        return _volunteered(comparison)
    failed = _failed(comparison)
    if not failed:
        return Decision(
            passed=True,
            says="Shown to be no worse in right answers, in wrong sure answers, and in coverage.",
            missing=0,
        )
    needed = [comparison[name]["more_to_pass"] for name in failed]
    missing = None if None in needed else max(needed)
    reasons = "; ".join(_reason(name, comparison[name]) for name in failed)
    return Decision(
        passed=False,
        says=f"Not shown to be no worse: {reasons}. {_remedy(missing)}",
        missing=missing,
    )


def _volunteered(comparison: Json) -> Decision:
    chosen = max(
        comparison["by_source"].get(source, {"n": 0})["n"] for source in ("asked", "at_upload")
    )
    needed = comparison["right"]["more_to_pass"]
    missing = (
        None
        if needed is None
        else max(estimate.MIN_LABELS, comparison["data"]["n"] + needed) - chosen
    )
    says = (
        "Labels that people volunteer cannot show it, since they favour the candidate; "
        f"of those asked for, or given with the picture, there are {chosen}. {_remedy(missing)}"
    )
    return Decision(passed=False, says=says, missing=missing)


def _reason(name: str, measure: Json) -> str:
    worst = comparison_text.points(max(0.0, -measure["difference"]["low"]))
    return f"{_REASONS[name].format(worst)} ({comparison_text.points(measure['margin'])} allowed)"


def _remedy(missing: int | None) -> str:
    if missing is None:
        return "More labels like these would not change that."
    return f"Some {comparison_text.about(missing)} more labels like these would show it."
