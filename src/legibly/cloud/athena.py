"""Counts pairs with Amazon Athena, over the tables that the accuracy stack has of its bucket.

The tables hold new and compacted pairs, all readings and all deletions, so the report is that of
DuckDB over the same store.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from legibly import errors, object_keys
from legibly.accuracy.engines import canonical
from legibly.accuracy.plan import Plan
from legibly.cloud.aws import Aws, translated
from legibly.cloud.stack import Report
from legibly.statistics import aggregates

POLL_SECONDS = 1.0
_NUMBERS = {"day_us", "bin", "n", "millionths"}


def table(
    plan: Plan,
    *,
    base: str,
    workgroup: str,
    aws: Aws,
    report: Report,
    reads: bool = True,
    poll_seconds: float = POLL_SECONDS,
) -> aggregates.Table:
    """Count the pairs of the store at `base`; `reads`: count the readings too.

    Raises NotFound if the stack has no tables, Invalid if they are of another store or lack some
    of its files, Unavailable with Athena's reason if a query fails.
    """
    _check(plan, base=base, database=_database(workgroup), aws=aws)
    names = ["athena_pairs.sql", *(["athena_readings.sql"] if reads else [])]
    client = aws.client("athena")
    with _started(client, names, workgroup) as queries:
        for query in queries:
            _wait(client, query, report=report, poll_seconds=poll_seconds)
        rows = [_rows(client, query) for query in queries]
    return aggregates.collect(rows[0], aggregates.reads(rows[1]) if reads else ())


def _database(workgroup: str) -> str:
    """The name that the template gives to the database, since hyphens are not allowed in it."""
    return workgroup.replace("-", "_")


def _check(plan: Plan, *, base: str, database: str, aws: Aws) -> None:
    """Raise NotFound or Invalid unless the tables hold the files of a plan."""
    store = _store(database, aws=aws)
    if store != base.rstrip("/"):
        remedy = f"Name {store}, or use another engine; projects are not in the tables."
        raise errors.Invalid("Athena's tables are of another store.", where=base, remedy=remedy)
    parquet = (*plan.parquet, *plan.settled)
    outside = [key for key in parquet if key.startswith(object_keys.PAIRS)]
    if outside:
        raise errors.Invalid(
            f"{len(outside)} Parquet files are not in Athena's tables.",
            where=outside[0],
            remedy="Move them: legibly compact.",
        )


def _store(database: str, *, aws: Aws) -> str:
    """The address of the store that the tables are of."""
    try:
        with translated("AWS Glue"):
            answer = aws.client("glue").get_table(DatabaseName=database, Name="settled_pairs")
    except errors.NotFound as error:
        remedy = "Make them: legibly cloud accuracy --athena on."
        raise errors.NotFound(
            "Athena has no tables of this stack.", where=f"database {database}", remedy=remedy
        ) from error
    location = str(answer["Table"]["StorageDescriptor"]["Location"])
    return location.removesuffix(object_keys.SETTLED_PAIRS).rstrip("/")


@contextlib.contextmanager
def _started(client: Any, names: list[str], workgroup: str) -> Iterator[list[str]]:
    """Start queries, and stop them if the caller is interrupted."""
    queries: list[str] = []
    with translated(f"workgroup {workgroup}"):
        for name in names:
            started = client.start_query_execution(
                QueryString=canonical.sql(name),
                QueryExecutionContext={"Database": _database(workgroup)},
                WorkGroup=workgroup,
            )
            queries.append(started["QueryExecutionId"])
    try:
        yield queries
    except BaseException:
        for query in queries:
            with contextlib.suppress(errors.LegiblyError), translated(query):
                client.stop_query_execution(QueryExecutionId=query)
        raise


def _wait(client: Any, query: str, *, report: Report, poll_seconds: float) -> None:
    """Wait for the end of a query. Raises Unavailable unless it succeeded."""
    while True:
        with translated(query):
            answer = client.get_query_execution(QueryExecutionId=query)
        execution = answer["QueryExecution"]
        state = execution["Status"]["State"]
        if state == "SUCCEEDED":
            scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
            report(f"query {query}: Athena read {scanned / 1e9:.3f} GB")
            return
        if state in ("FAILED", "CANCELLED"):
            raise _failure(query, execution["Status"])
        time.sleep(poll_seconds)


def _failure(query: str, status: dict[str, Any]) -> errors.Unavailable:
    reason = str(status.get("StateChangeReason") or "no reason given").rstrip(".")
    remedy = ""
    if "limit was exceeded" in reason:
        remedy = "Raise the parameter AthenaGb of the accuracy stack, or run `legibly compact`."
    message = f"the query ended as {status['State']}: {reason}."
    return errors.Unavailable(message, where=query, remedy=remedy)


def _rows(client: Any, query: str) -> list[list[Any]]:
    """The rows of a query's answer; its first line has the columns' names."""
    pages = client.get_paginator("get_query_results").paginate(QueryExecutionId=query)
    with translated(query):
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    names = [cell["VarCharValue"] for cell in rows[0]]
    return [list(map(_value, names, row)) for row in rows[1:]]


def _value(name: str, cell: dict[str, str]) -> str | int | None:
    """The value of a cell; a null has none."""
    text = cell.get("VarCharValue")
    return int(text) if name in _NUMBERS and text is not None else text
