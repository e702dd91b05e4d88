"""`legibly compact`: small record files into partitioned Parquet."""

import json
import os
from dataclasses import asdict
from datetime import timedelta

import click

from legibly import records
from legibly import store as stores
from legibly.cli import options


@click.command("compact")
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--grace", type=float, default=3600, show_default=True, help="Seconds that replaced files stay readable.")
@click.option("--memory", default="1500MB", show_default=True, help="Memory that DuckDB may use before it spills.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON and nothing else.")
def command(*, store: str | None, grace: float, memory: str, as_json: bool) -> None:
    """Turn the small files of pairs into partitioned Parquet, safely while others write and read."""
    from legibly.accuracy import compact, duckdb_engine  # DuckDB takes its time to load

    opened = stores.open_store(options.settings(store=store).store, environ=os.environ)
    limits = duckdb_engine.Limits(memory=memory)
    done = compact.compact(opened, environ=os.environ, now=records.now(), grace=timedelta(seconds=grace), limits=limits)
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    if not done.files_read:
        click.echo("Nothing is fresh: there was nothing to do.")
    else:
        click.echo(f"{done.pairs_read:,} pairs of {done.files_read:,} files are now {done.pairs_written:,} pairs in")
        click.echo(f"{done.files_written:,} Parquet files. The old files go with a run after {grace:g} seconds.")
    if done.files_removed:
        click.echo(f"{done.files_removed:,} files that an earlier run replaced are removed.")
    if done.files_flawed:
        click.echo(f"{done.files_flawed:,} files hold lines that are no pairs and stay as they are.")
