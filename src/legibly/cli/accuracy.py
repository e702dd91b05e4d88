"""`legibly accuracy`: computes accuracy from pairs of predicted and true labels."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from legibly import projects, wiring
from legibly.accuracy import label_mode, older_formats, report, sources
from legibly.accuracy.engines import spark_arguments
from legibly.accuracy.plan import Plan
from legibly.accuracy.render import plain_text
from legibly.cli import options
from legibly.errors import Invalid, Unavailable
from legibly.statistics import aggregates

_NAMED_LINES = 20


@click.command("accuracy")
@click.argument("source", required=False)
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark", "athena"]),
    default="duckdb",
    show_default=True,
)
@click.option("--master", help="Spark master, such as spark://HOST:7077; default: this machine.")
@click.option(
    "--workgroup",
    default="legibly-accuracy",
    show_default=True,
    help="Workgroup of Athena: the name of the stack that `legibly cloud accuracy` makes.",
)
@click.option("--out", help="Also write the JSON report to this file or s3:// or file:// URL.")
@click.option("--projects", "by_project", is_flag=True, help="Report each project of the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON and nothing else.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the report as one self-contained HTML page.",
)
@click.option(
    "--memory",
    default="1500MB",
    show_default=True,
    help="Memory that DuckDB may use before it spills.",
)
@click.option(
    "--readings/--no-readings",
    default=True,
    help="Weight labels by all readings, and look for drift.",
)
@click.option(
    "--single-label",
    "--whole",
    "single_label",
    multiple=True,
    metavar="MODEL",
    help="A model with one label per image, so that 10 is a class.",
)
def command(
    *,
    source: str | None,
    out: str | None,
    as_json: bool,
    html: Path | None,
    single_label: tuple[str, ...],
    by_project: bool,
    **how: Any,
) -> None:
    """Compute accuracy from the pairs in the configured store or in SOURCE (a store's URL, a folder
    or a file).

    Files may be JSON lines, Parquet, or one of two older formats: text lines "predicted,actual,…"
    and JSON objects with predicted_class and actual_class.
    """
    if by_project:
        if source or out or html:
            raise click.UsageError("--projects goes with --json only.")
        _report_projects(as_json=as_json, **how)
        return
    located = sources.find(source or projects.store_url(options.settings()))
    document = report.build(
        _table(located, **how),
        single_label={*single_label, *label_mode.single_label_models(options.settings())},
    )
    encoded = report.encode(document)
    if out:
        _write(out, encoded)
    if html:
        from legibly.accuracy.render import html as html_report

        html.write_text(html_report.render(document), encoding="utf-8")
    if as_json:
        sys.stdout.buffer.write(encoded)
    else:
        click.echo("\n".join(plain_text.lines(document)))


def _report_projects(*, as_json: bool, **how: Any) -> None:
    """Print pairs and accuracy of each project; accuracy is None without pairs."""
    settings = options.settings()
    rows = []
    for project in projects.Projects(wiring.root_store(settings)):
        own = project.override(settings)
        located = sources.find(projects.store_url(own))
        single = label_mode.single_label_models(own)
        row = {"project": project.name, "pairs": 0, "accuracy": None}
        if located.plan is not None:
            document = report.build(_table(located, **how), single_label={*single})
            row |= {name: document[name] for name in ("pairs", "accuracy")}
        rows.append(row)
    if as_json:
        click.echo(json.dumps({"projects": rows}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['project']:<40} {_share(row['accuracy']):<26} {row['pairs']:>9,} pairs")


def _share(share: Any) -> str:
    if share is None:
        return "–"
    return f"{share['value']:.2%} ({share['low']:.2%} – {share['high']:.2%})"


def _table(
    located: sources.Source,
    *,
    engine: str,
    master: str | None,
    memory: str,
    workgroup: str,
    readings: bool,
) -> aggregates.Table:
    if master and engine != "spark":
        raise click.UsageError("--master goes with --engine spark.")
    spark_arguments.check_master(master)
    if located.older:
        if engine != "duckdb":
            raise click.UsageError(
                "Pairs in an older format are counted in one pass on this machine: "
                f"leave out --engine {engine}."
            )
        return _older(located)
    if located.plan is None:
        raise Invalid("there are no pairs.")
    if engine == "spark":
        return _by_spark(located.plan, located.base, master, readings)
    if engine == "athena":
        return _by_athena(located.plan, located.base, workgroup, readings)
    from legibly.accuracy.engines import duckdb_engine, duckdb_files

    limits = duckdb_files.Limits(memory=memory)
    return duckdb_engine.table(
        located.plan, base=located.base, environ=os.environ, limits=limits, reads=readings
    )


def _by_spark(plan: Plan, base: str, master: str | None, readings: bool) -> aggregates.Table:
    try:
        from legibly.accuracy.engines import spark_engine
    except ImportError:
        remedy = "Install it: pip install 'legibly[spark]'."
        raise Unavailable(
            "PySpark is not installed.", where="--engine spark", remedy=remedy
        ) from None
    spark = spark_engine.session(master=master, environ=os.environ)
    located = spark_engine.location(spark, base)
    return spark_engine.table(spark, plan, base=located, reads=readings)


def _by_athena(plan: Plan, base: str, workgroup: str, readings: bool) -> aggregates.Table:
    try:
        from legibly.cloud import athena
        from legibly.cloud.aws import Aws
    except ImportError:
        remedy = "Install it: pip install 'legibly[aws]'."
        raise Unavailable("boto3 is missing.", where="--engine athena", remedy=remedy) from None
    return athena.table(
        plan, base=base, workgroup=workgroup, aws=Aws(), report=_report, reads=readings
    )


def _report(line: str) -> None:
    click.echo(line, err=True)


def _older(located: sources.Source) -> aggregates.Table:
    reported = 0

    def bad(name: str, line: int, problem: str) -> None:
        nonlocal reported
        reported += 1
        if reported <= _NAMED_LINES:
            click.echo(f"{name}:{line}: {problem}; skipped", err=True)

    counts = older_formats.count_files(located.older, bad=bad)
    if reported > _NAMED_LINES:
        click.echo(f"… and {reported - _NAMED_LINES:,} more lines skipped", err=True)
    return counts.table()


def _write(out: str, encoded: bytes) -> None:
    if "://" not in out:
        Path(out).write_bytes(encoded)
        return
    from legibly import store as stores

    folder, _, name = out.rpartition("/")
    stores.open_store(folder, environ=os.environ).replace(
        name, encoded, media_type="application/json"
    )
