"""`legibly accuracy`: pairs of predicted and true labels in, accuracy out."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from legibly import projects
from legibly.accuracy import older_formats, report, sources
from legibly.accuracy import whole as wholes
from legibly.accuracy.render import plain_text
from legibly.cli import options
from legibly.errors import Invalid, Unavailable
from legibly.statistics import aggregates

_NAMED_LINES = 20


@click.command("accuracy")
@click.argument("source", required=False)
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True
)
@click.option("--master", help="Spark master, such as spark://HOST:7077; none: this machine.")
@click.option("--out", help="Also write the JSON report to this file or s3:// or file:// URL.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON and nothing else.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write one self-contained page.",
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
    help="Weigh labels by all readings, and look for drift.",
)
@click.option(
    "--whole",
    multiple=True,
    metavar="MODEL",
    help="A model whose texts are one label each: 10 is a class.",
)
def command(
    *,
    source: str | None,
    out: str | None,
    as_json: bool,
    html: Path | None,
    whole: tuple[str, ...],
    **how: Any,
) -> None:
    """Turn pairs into accuracy: of the configured store, of SOURCE (a store's URL, a folder), or of a file of pairs.

    Files may be JSON lines, Parquet, or one of two older formats: text lines "predicted,actual,…" and JSON objects
    with predicted_class and actual_class.
    """
    found = sources.find(source or projects.store_url(options.settings()))
    made = report.build(_table(found, **how), whole={*whole, *wholes.models(options.settings())})
    encoded = report.encode(made)
    if out:
        _write(out, encoded)
    if html:
        from legibly.accuracy.render import html as html_report

        html.write_text(html_report.render(made), encoding="utf-8")
    if as_json:
        sys.stdout.buffer.write(encoded)
    else:
        click.echo("\n".join(plain_text.lines(made)))


def _table(
    found: sources.Source, *, engine: str, master: str | None, memory: str, readings: bool
) -> aggregates.Table:
    if master and engine != "spark":
        raise click.UsageError("--master goes with --engine spark.")
    if found.older:
        return _older(found)
    if found.plan is None:
        raise Invalid("there are no pairs here.")
    if engine == "duckdb":
        from legibly.accuracy.engines import duckdb_engine, duckdb_files

        limits = duckdb_files.Limits(memory=memory)
        return duckdb_engine.table(
            found.plan, base=found.base, environ=os.environ, limits=limits, reads=readings
        )
    try:
        from legibly.accuracy.engines import spark_engine
    except ImportError:
        remedy = "Install it: pip install 'legibly[spark]'."
        raise Unavailable(
            "PySpark is not installed.", where="--engine spark", remedy=remedy
        ) from None
    spark = spark_engine.session(master=master, environ=os.environ)
    base = spark_engine.location(spark, found.base)
    return spark_engine.table(spark, found.plan, base=base, reads=readings)


def _older(found: sources.Source) -> aggregates.Table:
    told = 0

    def bad(name: str, line: int, what: str) -> None:
        nonlocal told
        told += 1
        if told <= _NAMED_LINES:
            click.echo(f"{name}:{line}: {what}; skipped", err=True)

    counts = older_formats.count_files(found.older, bad=bad)
    if told > _NAMED_LINES:
        click.echo(f"… and {told - _NAMED_LINES:,} more lines skipped", err=True)
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
