"""`legibly compact`: merges small record files into partitioned Parquet."""

import json
import os
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import click

from legibly import projects, records
from legibly import store as stores
from legibly.accuracy import sources
from legibly.accuracy.compaction import readings
from legibly.accuracy.compaction.summary import Done
from legibly.accuracy.engines import spark_arguments
from legibly.cli import options
from legibly.errors import Unavailable


@click.command("compact")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option(
    "--grace",
    type=float,
    default=3600,
    show_default=True,
    help="Seconds that replaced files stay readable.",
)
@click.option(
    "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True
)
@click.option("--master", help="Spark master, such as spark://HOST:7077; default: this machine.")
@click.option(
    "--memory",
    default="1500MB",
    show_default=True,
    help="Memory that DuckDB may use before it spills.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and nothing else.")
def command(*, store: str | None, grace: float, as_json: bool, **how: Any) -> None:
    """Merge small files of pairs into partitioned Parquet and readings into larger files, safe
    while others read and write.
    """
    url = projects.store_url(options.settings(store=store))
    allowed = timedelta(seconds=grace)
    done = _run(url, allowed, **how)
    opened = stores.open_store(url, environ=os.environ)
    merged = readings.merge(opened, now=records.now(), grace=allowed)
    done = replace(
        done, readings_merged=merged.readings, reading_files_removed=merged.files_removed
    )
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    if merged.readings:
        click.echo(f"{merged.readings:,} readings were merged into larger files.")
    if merged.files_removed:
        click.echo(f"{merged.files_removed:,} files of one reading were removed.")
    if not done.files_read:
        click.echo("There are no new pairs: nothing to do.")
    else:
        click.echo(
            f"{done.pairs_read:,} pairs of {done.files_read:,} files are now {done.pairs_written:,}"
            " pairs in"
        )
        click.echo(
            f"{done.files_written:,} Parquet files. A run in {grace:g} seconds or later removes the"
            " old files."
        )
    if done.files_removed:
        click.echo(f"{done.files_removed:,} files that an earlier run replaced were removed.")
    if done.files_flawed:
        click.echo(f"{done.files_flawed:,} files with malformed lines were left alone.")


def _run(url: str, grace: timedelta, *, engine: str, master: str | None, memory: str) -> Done:
    if master and engine != "spark":
        raise click.UsageError("--master goes with --engine spark.")
    spark_arguments.check_master(master)
    if engine == "duckdb":
        from legibly.accuracy.compaction import compact  # DuckDB takes its time to load
        from legibly.accuracy.engines import duckdb_files  # DuckDB takes its time to load

        limits = duckdb_files.Limits(memory=memory)
        opened = stores.open_store(url, environ=os.environ)
        return compact.compact(
            opened, environ=os.environ, now=records.now(), grace=grace, limits=limits
        )
    try:
        from legibly.accuracy.compaction import spark_compact
        from legibly.accuracy.engines import spark_engine
    except ImportError:
        remedy = "Install it: pip install 'legibly[spark]'."
        raise Unavailable(
            "PySpark is not installed.", where="--engine spark", remedy=remedy
        ) from None
    spark = spark_engine.session(master=master, environ=os.environ)
    base = spark_engine.location(spark, sources.base_of(url))
    return spark_compact.compact(spark, base=base, now=records.now(), grace=grace)
