"""`legibly status`: shows what is waiting, what failed and why, and what to do."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import click

from legibly import object_keys, wiring
from legibly.cli import options
from legibly.errors import LegiblyError
from legibly.index.port import Filter
from legibly.ingest.sweep import PATIENCE
from legibly.records import now
from legibly.settings import Settings

_MAX_FAILED = 500
_LATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Advice:
    """A problem and its remedy."""

    problem: str
    remedy: str


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE.")
def command(*, as_json: bool, **flags: str | None) -> None:
    """Show what is waiting, what failed and why; exit with 1 if there is something to do."""
    settings = options.settings(**flags)
    report = _report(settings)
    advice = _advice(report)
    if as_json:
        entries = [{"problem": entry.problem, "remedy": entry.remedy} for entry in advice]
        click.echo(json.dumps({**report, "advice": entries}, indent=2))
    else:
        _print(report, advice)
    sys.exit(int(bool(advice)))


def _report(settings: Settings) -> dict[str, Any]:
    """The state of one project. Raises Unavailable if the database does not answer."""
    index = wiring.index(settings)
    oldest = next(iter(index.page(Filter(state="pending", sort="oldest"), limit=1)), None)
    failed = index.page(Filter(state="failed"), limit=_MAX_FAILED)
    waiting = (now() - oldest.received_at).total_seconds() if oldest else 0.0
    report = {
        "images": index.counts(),
        "oldest_pending_seconds": round(waiting, 1),
        "failures": dict(Counter(image.error or "unknown" for image in failed).most_common(10)),
    }
    return report | _store_report(settings)


def _store_report(settings: Settings) -> dict[str, Any]:
    """Whether the store answers, and which names in it were skipped."""
    try:
        store = wiring.store(settings)
        if store.is_local:
            for _ in store.list(object_keys.IMAGES):
                pass
        else:
            next(store.list(object_keys.IMAGES), None)
    except LegiblyError as error:
        return {"store": str(error), "skipped": {}}
    return {"store": "answers", "skipped": store.skipped}


def _advice(report: dict[str, Any]) -> list[Advice]:
    advice = []
    if report["store"] != "answers":
        advice.append(Advice(report["store"], "Repair the store; pictures wait until it is back."))
    if report["oldest_pending_seconds"] > _LATE_SECONDS + PATIENCE.total_seconds():
        remedy = "Start `legibly serve` or `legibly worker`, or look at its log if it is running."
        advice.append(Advice("pictures are waiting, but nothing reads them.", remedy))
    if report["failures"]:
        remedy = "Send these pictures again in another format, or delete them in the history."
        advice.append(Advice("some pictures are unreadable.", remedy))
    if report["skipped"]:
        advice.append(Advice("some names cannot be keys and were skipped.", "Rename these files."))
    return advice


def _print(report: dict[str, Any], advice: list[Advice]) -> None:
    counts = report["images"]
    for state in ("pending", "read", "failed"):
        click.echo(f"{counts.get(state, 0):>10,}  {state}")
    if report["oldest_pending_seconds"]:
        click.echo(f"the oldest picture has waited for {report['oldest_pending_seconds']:,.0f} s")
    for reason, count in report["failures"].items():
        click.echo(f"{count:>10,}  failed: {reason}")
    for name, reason in list(report["skipped"].items())[:10]:
        click.echo(f"   skipped  {name!r}: {reason}")
    for entry in advice:
        click.echo(f"TO DO  {entry.problem} {entry.remedy}")
    if not advice:
        click.echo("nothing to do")
