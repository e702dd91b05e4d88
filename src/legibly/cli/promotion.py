"""`legibly models compare`, `promote`, `rollback` and `history`: changing the model on evidence, and back."""

import functools
import getpass
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from legibly import errors, records, wiring
from legibly.cli import options
from legibly.evaluation import comparison, comparison_text, datasets, promotion_rule
from legibly.evaluation import promotion_history as histories
from legibly.vision.reading import Reader

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
_SHARE = functools.partial(
    click.option, type=click.FloatRange(0, 1, min_open=True, max_open=True), show_default=True
)
_MARGIN = _SHARE(
    "--margin",
    default=comparison.MARGIN,
    help="Share of pictures that a candidate may read worse at most.",
)
_COVERAGE = _SHARE(
    "--coverage-margin",
    default=comparison.COVERAGE_MARGIN,
    help="Share of pictures that a candidate may leave to people more.",
)
_SINCE = click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Of the store, only pictures from this day on: for a candidate that was trained on older ones.",
)


@dataclass(frozen=True, slots=True)
class _Readers:
    """The model that reads now, or the first of two, and the one that may come after it."""

    present: Reader
    candidate: Reader


@click.command("compare")
@click.argument("present", metavar="A")
@click.argument("candidate", metavar="B")
@click.argument("dataset", type=click.Path(path_type=Path), required=False)
@_MARGIN
@_SINCE
@_JSON
def compare(
    *, present: str, candidate: str, dataset: Path | None, margin: float, as_json: bool, since: Any
) -> None:
    """Is pack B better than A? Reads DATASET with both, or the store's own labelled pictures."""
    made = _compare(
        _readers(present, candidate), dataset, margins=comparison.Margins(margin), since=since
    )
    click.echo(json.dumps(made) if as_json else "\n".join(comparison_text.lines(made)))


@click.command("promote")
@click.argument("candidate", metavar="PACK")
@click.option(
    "--data",
    "dataset",
    type=click.Path(path_type=Path),
    help="Labelled pictures, instead of the store's.",
)
@_MARGIN
@_COVERAGE
@_SINCE
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--force", "reason", metavar="REASON", help="Promote without proof; the reason is recorded."
)
@_JSON
def promote(*, candidate: str, yes: bool, reason: str | None, as_json: bool, **how: Any) -> None:
    """Read with PACK from now on, if it is shown to be no worse than the present model.

    Exits with 1 and says how many labels are missing where that is not shown.
    """
    present = options.settings().model
    store = wiring.store(options.settings())
    known = histories.changes(store)
    readers = _readers(present, candidate)
    made = _evidence(readers, reason, **how)
    decision = promotion_rule.decide(made) if made else None
    if made and not as_json:
        click.echo("\n".join(comparison_text.lines(made)))
    if decision and not decision.passed and reason is None:
        _refuse(decision, made, as_json=as_json)
    if decision and decision.passed and not as_json:
        click.echo(decision.says)
    if not yes:
        click.confirm(f"Read with {candidate} from now on?", abort=True, err=True)
    change = _change(
        "promote",
        known,
        before=histories.Choice(present, readers.present.model),
        after=histories.Choice(candidate, readers.candidate.model),
        reason=reason,
        evidence=_kept(made, decision),
    )
    histories.write(store, change)
    _tell(change, options.keep(candidate), as_json=as_json)


@click.command("rollback")
@click.option("--reason", help="Why; recorded.")
@_JSON
def rollback(*, reason: str | None, as_json: bool) -> None:
    """Go back to the pack that read before the last promotion; nothing is asked."""
    store = wiring.store(options.settings())
    known = histories.changes(store)
    last = histories.standing(known, setting=options.settings().model)
    goal = last.before
    found = wiring.reader(options.settings(model=goal.setting)).model
    if found.version != goal.model.version:
        what = f"this pack is version {found.version} now; before the promotion it was {goal.model.version}."
        remedy = f"Bring the old one back, or take this one: `legibly models use {goal.setting}`."
        raise errors.Conflict(what, where=goal.setting, remedy=remedy)
    change = _change("rollback", known, before=last.after, after=goal, reason=reason)
    histories.write(store, change)
    _tell(change, options.keep(goal.setting), as_json=as_json)


@click.command("history")
@_JSON
def history(*, as_json: bool) -> None:
    """Every promotion and rollback, oldest first."""
    made = histories.changes(wiring.store(options.settings()))
    if as_json:
        click.echo(json.dumps([change.to_json() for change in made]))
    elif not made:
        click.echo("No model was promoted yet.")
    for change in () if as_json else made:
        sides = (f"{side.setting} {side.model.version}" for side in (change.before, change.after))
        why = f": {change.reason}" if change.reason else ""
        click.echo(
            f"{change.number}  {records.stamp(change.at)}  {change.by}  {change.kind}  {' → '.join(sides)}{why}"
        )


def _readers(present: str, candidate: str) -> _Readers:
    return _Readers(
        *(wiring.reader(options.settings(model=model)) for model in (present, candidate))
    )


def _evidence(
    readers: _Readers,
    reason: str | None,
    *,
    dataset: Path | None,
    margin: float,
    coverage_margin: float,
    since: Any,
) -> records.Json | None:
    """The comparison; None where there can be none and the promotion is forced."""
    try:
        margins = comparison.Margins(margin, coverage_margin)
        return _compare(readers, dataset, margins=margins, since=since)
    except errors.Invalid:
        if reason is None or readers.present.model.version == readers.candidate.model.version:
            raise
        return None


def _compare(
    readers: _Readers, dataset: Path | None, *, margins: comparison.Margins, since: Any
) -> records.Json:
    settings = options.settings()
    if dataset is not None:
        samples, where = datasets.samples(dataset), str(dataset)
    else:
        day = since.date().isoformat() if since else None
        samples = comparison.labelled(wiring.index(settings), wiring.store(settings), since=day)
        where = settings.masked()["store"]
    present, candidate = readers.present, readers.candidate
    comparison.require_comparable(present, candidate, samples, where=where)
    return comparison.build(
        _read(readers, samples, where),
        present=present.model,
        candidate=candidate.model,
        data=where,
        live=dataset is None,
        margins=margins,
    )


def _read(readers: _Readers, samples: list[datasets.Sample], where: str) -> list[comparison.Couple]:
    if not sys.stderr.isatty():
        return comparison.read(readers.present, readers.candidate, samples)
    with click.progressbar(length=len(samples), label=where, file=sys.stderr) as bar:
        return comparison.read(
            readers.present, readers.candidate, samples, tick=lambda: bar.update(1)
        )


def _refuse(decision: promotion_rule.Decision, made: records.Json | None, *, as_json: bool) -> None:
    if not as_json:
        raise errors.Conflict(decision.says, remedy="Or say why it has to be: --force REASON.")
    click.echo(json.dumps({"promoted": False, **decision.to_json(), "evidence": made}))
    sys.exit(1)


def _change(
    kind: Literal["promote", "rollback"], known: list[histories.Change], **facts: Any
) -> histories.Change:
    number = known[-1].number + 1 if known else 1
    return histories.Change(number=number, kind=kind, at=records.now(), by=_who(), **facts)


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return "unknown"


def _kept(
    made: records.Json | None, decision: promotion_rule.Decision | None
) -> records.Json | None:
    """What is recorded of a comparison: its figures, not which pictures it was made of."""
    if made is None or decision is None:
        return None
    figures = {name: value for name, value in made.items() if name not in ("lost", "won")}
    return {**figures, "decision": decision.to_json()}


def _tell(change: histories.Change, file: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {"promoted": change.kind == "promote", "file": str(file), **change.to_json()}
            )
        )
        return
    to = change.after
    click.echo(
        f"{file} says model = {json.dumps(to.setting)} ({to.model.version}); recorded as change {change.number}."
    )
    click.echo("Restart what is running; readings made before stay as they are.")
