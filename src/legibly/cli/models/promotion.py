"""`legibly models compare`, `promote`, `rollback` and `history`: changes the model on evidence."""

import functools
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from legibly import errors, projects, records, wiring
from legibly.cli import options
from legibly.evaluation import comparison, comparison_text, datasets, promotion_rule
from legibly.evaluation import promotion_history as histories
from legibly.ingest import stored_packs
from legibly.settings import DEFAULT_PROJECT
from legibly.vision.reading import Reader

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
_SHARE = functools.partial(
    click.option, type=click.FloatRange(0, 1, min_open=True, max_open=True), show_default=True
)
_MARGIN = _SHARE(
    "--margin",
    default=comparison.MARGIN,
    help="Largest loss of accuracy allowed, as a share of pictures.",
)
_COVERAGE = _SHARE(
    "--coverage-margin",
    default=comparison.COVERAGE_MARGIN,
    help="Largest loss of coverage allowed, as a share of pictures.",
)
_SINCE = click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Use only the store's pictures from this day on, for a candidate trained on older ones.",
)


@dataclass(frozen=True, slots=True)
class _Readers:
    """The present model, or the first of two, and the candidate."""

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
    """Compare pack B with A on DATASET, or on the store's own labelled pictures."""
    readers = _readers(present, candidate)
    report = _compare(readers, dataset, margins=comparison.Margins(margin), since=since)
    click.echo(json.dumps(report) if as_json else "\n".join(comparison_text.lines(report)))


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
    "--force", "reason", metavar="REASON", help="Promote without evidence; the reason is recorded."
)
@_JSON
def promote(*, candidate: str, yes: bool, reason: str | None, as_json: bool, **how: Any) -> None:
    """Switch to PACK if the data show that it is no worse than the current model.

    Otherwise exits with 1 and prints how many labels are missing.
    """
    settings = options.settings()
    store = wiring.store(settings)
    past = histories.changes(store)
    present = histories.current(past, settings.model)
    readers = _readers(present, candidate)
    report = _evidence(readers, reason, **how)
    decision = _decide(report, is_forced=reason is not None, as_json=as_json)
    if not yes:
        click.confirm(f"Read with {candidate} from now on?", abort=True, err=True)
    change = new_change(
        "promote",
        past,
        before=histories.Choice(present, readers.present.model),
        after=histories.Choice(candidate, readers.candidate.model),
        reason=reason,
        evidence=_figures(report, decision),
    )
    stored_packs.publish(candidate, settings)
    histories.write(store, change)
    _report(change, keep(candidate), as_json=as_json)


def _decide(
    report: records.Json | None, *, is_forced: bool, as_json: bool
) -> promotion_rule.Decision | None:
    """Apply the rule to a comparison, and print both. Exits the command if it fails."""
    if report is None:
        return None
    decision = promotion_rule.decide(report)
    if not as_json:
        click.echo("\n".join(comparison_text.lines(report)))
    if not decision.passed and not is_forced:
        _refuse(decision, report, as_json=as_json)
    if decision.passed and not as_json:
        click.echo(decision.says)
    return decision


@click.command("rollback")
@click.option("--reason", help="The reason, which is recorded.")
@_JSON
def rollback(*, reason: str | None, as_json: bool) -> None:
    """Go back to the model before the last promotion, without asking."""
    settings = options.settings()
    store = wiring.store(settings)
    past = histories.changes(store)
    last = histories.last_promotion(past, setting=histories.current(past, settings.model))
    goal = last.before
    earlier = options.settings(model=goal.setting)
    model = wiring.reader(earlier, version=goal.model.version).model
    if model.version != goal.model.version:
        message = (
            f"this pack is version {model.version} now; "
            f"before the promotion it was {goal.model.version}."
        )
        remedy = f"Restore the old one, or use this one: `legibly models use {goal.setting}`."
        raise errors.Conflict(message, where=goal.setting, remedy=remedy)
    change = new_change("rollback", past, before=last.after, after=goal, reason=reason)
    histories.write(store, change)
    _report(change, keep(goal.setting), as_json=as_json)


@click.command("history")
@_JSON
def history(*, as_json: bool) -> None:
    """List every change of the model, oldest first."""
    past = histories.changes(wiring.store(options.settings()))
    if as_json:
        click.echo(json.dumps([change.to_json() for change in past]))
    elif not past:
        click.echo("No model has been promoted yet.")
    for change in () if as_json else past:
        sides = (f"{side.setting} {side.model.version}" for side in (change.before, change.after))
        why = f": {change.reason}" if change.reason else ""
        click.echo(
            f"{change.number}  {records.stamp(change.at)}  {change.by}  {change.kind} "
            f" {' → '.join(sides)}{why}"
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
    """The comparison; None if it is impossible and the promotion is forced."""
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
        samples = datasets.samples(dataset)
        where = str(dataset)
    else:
        day = since.date().isoformat() if since else None
        samples = comparison.labelled(wiring.index(settings), wiring.store(settings), since=day)
        where = settings.masked()["store"]
    present = readers.present
    candidate = readers.candidate
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


def _refuse(decision: promotion_rule.Decision, report: records.Json, *, as_json: bool) -> None:
    if not as_json:
        raise errors.Conflict(
            decision.says, remedy="Or force it and give a reason: --force REASON."
        )
    click.echo(json.dumps({"promoted": False, **decision.to_json(), "evidence": report}))
    sys.exit(1)


def keep(model: str) -> str:
    """Set the model of the project, or of the settings file for the default one; returns which."""
    present = options.settings()
    if present.project == DEFAULT_PROJECT:
        return str(options.keep(model))
    projects.Projects(wiring.root_store(present)).change(present.project, model=model)
    return f"project {present.project}"


def record_use(model: str, *, reason: str | None) -> None:
    """Record in the store that MODEL was chosen without evidence."""
    settings = options.settings()
    store = wiring.store(settings)
    past = histories.changes(store)
    before = choice(histories.current(past, settings.model))
    after = choice(model)
    stored_packs.publish(model, settings)
    histories.write(store, new_change("use", past, before=before, after=after, reason=reason))


def choice(setting: str) -> histories.Choice:
    """A setting and the model that it opens; without a version if it no longer opens."""
    try:
        model = wiring.reader(options.settings(model=setting)).model
    except errors.LegiblyError:
        model = records.Model(setting, "")
    return histories.Choice(setting, model)


def new_change(
    kind: histories.Kind, past: list[histories.Change], **facts: Any
) -> histories.Change:
    """The next change after `past`, made now by the user of this process."""
    return histories.following(past, kind, by=_operator(), **facts)


def _operator() -> str:
    """The user of this process by the operating system, since anybody can set the environment."""
    try:
        import pwd
    except ImportError:  # Windows
        return os.getlogin()
    number = os.getuid()
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:  # a container may run under a uid without a name
        return f"uid {number}"


def _figures(
    report: records.Json | None, decision: promotion_rule.Decision | None
) -> records.Json | None:
    """The recorded part of a comparison: its figures, not its pictures."""
    if report is None or decision is None:
        return None
    figures = {name: value for name, value in report.items() if name not in ("lost", "won")}
    return {**figures, "decision": decision.to_json()}


def _report(change: histories.Change, file: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({"promoted": change.kind == "promote", "file": file, **change.to_json()})
        )
        return
    to = change.after
    click.echo(
        f"{file} says model = {json.dumps(to.setting)} ({to.model.version}); recorded as change"
        f" {change.number}."
    )
    click.echo("Running servers follow within seconds; earlier readings stay as they are.")
