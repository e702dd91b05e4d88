"""SQL that brings pairs of any age and file type into the columns that pairs.sql expects.

Records were written by several versions: a column may be missing, a time may be text or a
timestamp, a number text. `reference.row_of_json` says the same in Python.
"""

import importlib.resources
import re
from collections.abc import Iterable, Mapping

from legibly.records import UNANSWERED
from legibly.statistics import aggregates

COLUMNS = ("image", "predicted", "actual", "confidence", "model", "source", "labelled_at")
READ_COLUMNS = (*COLUMNS, "verdict")
"""The columns that a report depends on; the verdict was added in version 0.2."""
MOMENT_PATTERN = (
    "^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T"
    " ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    "([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)?$"
)
NUMBER_PATTERN = "^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$"
MOMENT = re.compile(MOMENT_PATTERN)
NUMBER = re.compile(NUMBER_PATTERN)
# DuckDB's plain timestamp ignores an offset in a text; the type with a time zone uses the
# session's zone, which is UTC.
MOMENT_TYPE = {"duckdb": "TIMESTAMPTZ", "spark": "TIMESTAMP"}
MICROSECONDS = {"duckdb": "epoch_us({})", "spark": "unix_micros(CAST({} AS TIMESTAMP))"}
TEXT = dict.fromkeys((*READ_COLUMNS, "writer"), "text")
SETTLED = TEXT | {"confidence": "number", "labelled_at": "time"}
TEXT_COLUMNS = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in TEXT) + "}"
READING_COLUMNS = (
    "{'image': 'VARCHAR', 'model': 'STRUCT(name VARCHAR, version VARCHAR)', 'verdict': 'VARCHAR',"
    " 'text': 'VARCHAR', 'confidence': 'VARCHAR', 'at': 'VARCHAR'}"
)
NEWEST_FIRST = "(us, actual IS NOT NULL, coalesce(actual, ''), predicted, millionths, source) DESC"
"""The order in pairs.sql of the pairs of an image and model."""
IDENTIFIER = {"duckdb": '"{}"', "spark": "`{}`"}


def sql(name: str) -> str:
    """The text of a query in this folder."""
    folder = importlib.resources.files("legibly.accuracy.engines")
    return folder.joinpath(name).read_text(encoding="utf-8")


def select(
    kinds: Mapping[str, str], *, dialect: str, relation: str, extra: str = "", named: bool = True
) -> str:
    """Return a query for `relation` in the columns of pairs.sql plus `extra` columns.

    `kinds` gives the kind of each existing column: `text`, `time` (a timestamp in UTC),
    `nanoseconds` (of Unix time, in Spark), `float` or `number`. A row where all columns are null is
    a line that is not a JSON object.
    """
    empty = " AND ".join(f"{name} IS NULL" for name in COLUMNS if name in kinds) or "TRUE"
    image = _text("image", kinds)
    predicted = _text("predicted", kinds)
    actual = _actual(kinds)
    return f"""SELECT
      CASE WHEN {image} <> '' AND {predicted} IS NOT NULL THEN {image}
        ELSE concat('flawed ', uuid()) END AS image,
      {known(_text("model", kinds))} AS model,
      CASE WHEN {empty} THEN 'malformed' WHEN {image} IS NULL OR {image} = '' THEN 'no_image'
        WHEN {predicted} IS NULL THEN 'no_prediction'
        ELSE {known(_text("source", kinds))} END AS source,
      CASE WHEN {image} <> '' THEN {predicted} END AS predicted, {actual} AS actual,
      {_millionths(kinds)} AS millionths,
      {_us(kinds, dialect)} AS us{", " + extra if extra else ""}
    FROM {relation}"""  # noqa: S608


def select_unnamed(kinds: Mapping[str, str], *, dialect: str, relation: str) -> str:
    """As `select`, but without image ids (most of a file) and names of missing models or sources.

    The engine adds both after counting the rows.
    """
    model = _text("model", kinds)
    source = _text("source", kinds)
    predicted = _text("predicted", kinds)
    actual = _actual(kinds)
    return f"""SELECT CAST(NULL AS VARCHAR(65535)) AS image, {model} AS model,
      CASE WHEN {predicted} IS NULL THEN 'no_prediction' ELSE {source} END AS source,
      {predicted} AS predicted, {actual} AS actual, {_millionths(kinds)} AS millionths,
      {_us(kinds, dialect)} AS us
    FROM {relation}"""  # noqa: S608


def settled_kinds(columns: Iterable[str]) -> dict[str, str]:
    """The column kinds of settled files; files of version 0.1 have no verdict."""
    kinds = dict(SETTLED)
    if "verdict" not in columns:
        del kinds["verdict"]
    return kinds


def select_settled(kinds: Mapping[str, str], *, dialect: str, relation: str) -> str:
    """Return a query for settled Parquet files, which hold complete pairs in known types."""
    actual = _actual(kinds)
    return f"""SELECT image, model, source, predicted, {actual} AS actual,
      {_millionths(SETTLED)} AS millionths,
      {_us(SETTLED, dialect)} AS us
    FROM {relation}"""  # noqa: S608


def known(name: str) -> str:
    """SQL for a model or source name as in the report."""
    return f"coalesce(nullif({name}, ''), '{aggregates.UNKNOWN}')"


def extra_columns(kinds: Mapping[str, str]) -> str:
    """SQL for the columns that pairs.sql lacks: exact confidence, writer and verdict."""
    confidence = _number(kinds) if "confidence" in kinds else "CAST(NULL AS DOUBLE)"
    return (
        f"{confidence} AS exact, {_text('writer', kinds)} AS writer, "
        f"{_text('verdict', kinds)} AS verdict"
    )


def stored_actual(name: str = "actual") -> str:
    """SQL for the true text as stored, from the column of pairs.sql."""
    return f"CASE WHEN {name} = chr({ord(UNANSWERED)}) THEN '' ELSE {name} END"


def _actual(kinds: Mapping[str, str]) -> str:
    """SQL for the true text as it is counted: see `records.counted_actual`."""
    actual = _text("actual", kinds)
    if "verdict" not in kinds or "actual" not in kinds:
        return actual
    verdict = _text("verdict", kinds)
    unanswered = f"{actual} = '' AND {_text('predicted', kinds)} <> '' AND {verdict} <> 'read'"
    return f"CASE WHEN {unanswered} THEN chr({ord(UNANSWERED)}) ELSE {actual} END"


def select_readings(*, dialect: str, relation: str) -> str:
    """Return a query for valid reading records in the columns of readings.sql."""
    at = IDENTIFIER[dialect].format("at")
    kinds = {"confidence": "text", "at": "text"}
    return f"""SELECT image,
      concat(coalesce(model.name, 'unknown'), '@', coalesce(model.version, '')) AS model,
      coalesce(verdict, '') AS verdict, coalesce(text, '') AS said,
      {_millionths(kinds)} AS millionths,
      {_us(kinds, dialect, at)} AS us
    FROM {relation} WHERE image IS NOT NULL"""  # noqa: S608


def _text(name: str, kinds: Mapping[str, str]) -> str:
    if name not in kinds:
        return "CAST(NULL AS VARCHAR(65535))"
    if kinds[name] == "float":  # pandas stores integers as floats if a value is missing
        integral = f"{name} = floor({name}) AND abs({name}) < 1e15"
        return (
            f"CASE WHEN {integral} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR(65535)) "
            f"ELSE CAST({name} AS VARCHAR(65535)) END"
        )
    return name if kinds[name] == "text" else f"CAST({name} AS VARCHAR(65535))"


def _millionths(kinds: Mapping[str, str]) -> str:
    if "confidence" not in kinds:
        return "CAST(-1 AS BIGINT)"
    number = _number(kinds)
    within = f"({number}) >= 0 AND ({number}) <= 1"
    return (
        f"CASE WHEN {within} THEN CAST(floor(({number}) * 1000000 + 0.5) AS BIGINT) ELSE CAST(-1 AS"
        " BIGINT) END"
    )


def _number(kinds: Mapping[str, str]) -> str:
    if kinds["confidence"] != "text":
        return "CAST(confidence AS DOUBLE)"
    number = f"regexp_extract(confidence, '{NUMBER_PATTERN}', 0)"
    return f"CASE WHEN {number} <> '' THEN TRY_CAST(confidence AS DOUBLE) END"


def _us(kinds: Mapping[str, str], dialect: str, name: str = "labelled_at") -> str:
    undated = f"CAST({aggregates.UNDATED_US} AS BIGINT)"
    kind = kinds.get(name.strip('"`'))
    if kind is None:
        return undated
    if kind not in ("text", "time", "nanoseconds"):
        return undated
    if kind == "nanoseconds":
        return f"CASE WHEN {name} >= 0 THEN {name} DIV 1000 ELSE {undated} END"
    us = MICROSECONDS[dialect].format(name)
    if kind == "text":
        us = MICROSECONDS[dialect].format(f"TRY_CAST({name} AS {MOMENT_TYPE[dialect]})")
        us = f"CASE WHEN regexp_extract({name}, '{MOMENT_PATTERN}', 0) <> '' THEN {us} END"
    return f"CASE WHEN ({us}) >= 0 THEN ({us}) ELSE {undated} END"
