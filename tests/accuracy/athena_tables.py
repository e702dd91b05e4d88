"""The tables of Athena as views of DuckDB, made from the template's own definitions.

Differences from Athena: the SQL is read by DuckDB, JSON by DuckDB's reader instead of the OpenX
SerDe, and moments are not rounded to milliseconds.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

TEMPLATE = Path(__file__).parents[2] / "deploy" / "accuracy.yaml"


@functools.cache
def definitions() -> dict[str, dict[str, Any]]:
    """The storage of each Glue table of the template, by the table's name."""
    decode = pytest.importorskip(
        "cfnlint.decode", reason="cfn-lint is not installed; `make test-all` brings it"
    )
    document, _ = decode.decode(str(TEMPLATE))
    inputs = [
        resource["Properties"]["TableInput"]
        for resource in document["Resources"].values()
        if resource["Type"] == "AWS::Glue::Table"
    ]
    return {table["Name"]: table["StorageDescriptor"] for table in inputs}


def connected(base: Path) -> duckdb.DuckDBPyConnection:
    """A connection with the tables over a store in a folder."""
    connection = duckdb.connect(config={"threads": 1})
    for name, storage in definitions().items():
        connection.execute(
            f'CREATE VIEW {name} AS SELECT *, filename AS "$path" FROM {_relation(base, storage)}'
        )
    return connection


def _relation(base: Path, storage: dict[str, Any]) -> str:
    folder = storage["Location"]["Fn::Sub"].removeprefix("s3://${DataBucket}/")
    paths = sorted(str(path) for path in (base / folder).rglob("*") if path.is_file())
    columns = {str(column["Name"]): _type(column["Type"]) for column in storage["Columns"]}
    if not paths:
        return _empty({**columns, "filename": "VARCHAR"})
    if "Parquet" in storage["InputFormat"]:
        chosen = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in columns.items())
        files = f"read_parquet({paths}, filename = true, hive_partitioning = false)"
        return f"(SELECT {chosen}, filename FROM {files})"
    return (
        f"read_json({paths}, columns = {columns}, format = 'newline_delimited', filename = true,"
        " ignore_errors = true, hive_partitioning = false)"
    )


def _empty(columns: dict[str, str]) -> str:
    nulls = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
    return f"(SELECT {nulls} WHERE FALSE)"


def _type(kind: str) -> str:
    """A type of Hive as DuckDB writes it."""
    if kind.startswith("struct<"):
        fields = kind.removeprefix("struct<").removesuffix(">").replace(":", " ")
        return f"STRUCT({fields.replace('string', 'VARCHAR')})"
    return "VARCHAR" if kind == "string" else kind.upper()


def rows(base: Path, query: str) -> Sequence[tuple[Any, ...]]:
    """What a query over the tables of a store answers."""
    with connected(base) as connection:
        return connection.execute(query).fetchall()
