"""Runs pairs.sql on Spark: same query and result as DuckDB, for data beyond one machine.

No Python runs on the executors, and pyspark is the only dependency. Paths are Hadoop's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from legibly.accuracy import plan as plans
from legibly.accuracy.engines import canonical
from legibly.errors import Invalid, NotFound, Unavailable
from legibly.statistics import aggregates

PAIR_SCHEMA = ", ".join(f"{name}: STRING" for name in canonical.READ_COLUMNS)
READING_SCHEMA = (
    "image: STRING, model: STRUCT<name: STRING, version: STRING>, verdict: STRING, text: STRING, "
    "confidence: STRING, at: STRING"
)
CANONICAL = (
    "image STRING, model STRING, source STRING, predicted STRING, actual STRING, millionths BIGINT,"
    " us BIGINT"
)


def session(*, master: str | None = None, environ: Mapping[str, str]) -> SparkSession:
    """Start a Spark session for the job; `master` None: that of `spark-submit`, else this machine.

    Raises Unavailable if Spark does not start.
    """
    builder = SparkSession.builder.appName("legibly accuracy").config(
        "spark.ui.showConsoleProgress", "false"
    )
    builder = builder.config("spark.ui.enabled", "false").config(
        "spark.sql.session.timeZone", "UTC"
    )
    # Without it Spark refuses Parquet with times in nanoseconds, which pandas and Polars write.
    builder = builder.config("spark.sql.legacy.parquet.nanosAsLong", "true")
    builder = builder.config("spark.sql.files.ignoreMissingFiles", "true")
    for name, value in _s3a(environ).items():
        builder = builder.config(name, value)
    if master:
        builder = builder.master(master)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        remedy = "Spark needs Java 17 (`java -version`) and a reachable master."
        brief = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Unavailable(
            f"Spark does not start: {brief}", where=master or "spark", remedy=remedy
        ) from error
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def location(spark: SparkSession, url: str) -> str:
    """A store URL as Hadoop spells it: `s3://` on EMR, with its own connector, else `s3a://`."""
    if url.startswith("s3://") and not spark.sparkContext._jsc.hadoopConfiguration().get(  # noqa: SLF001
        "fs.s3.impl"
    ):
        return "s3a://" + url.removeprefix("s3://")
    return url


def table(
    spark: SparkSession, plan: plans.Plan, *, base: str, reads: bool = True
) -> aggregates.Table:
    """Count the pairs of a plan with keys under `base`. Raises Invalid for unreadable files."""
    try:
        _pairs(spark, plan, base)
        rows = spark.sql(canonical.sql("pairs.sql")).collect()
        return aggregates.collect(rows, _reads(spark, plan, base) if reads else ())
    except Exception as error:
        raise Invalid(
            f"Spark cannot read the pairs: {_brief(error)}", where=_culprit(error) or base
        ) from error


def _pairs(spark: SparkSession, plan: plans.Plan, base: str) -> None:
    """Create the views `fresh`, `settled`, `touched` and `deleted`."""
    view_deleted(spark, plan.deleted)
    parts = parquet(spark, plan.parquet, base)
    if plan.lines:
        lines(spark, plan.lines, base, PAIR_SCHEMA).createOrReplaceTempView("lines")
        parts.append(spark.sql(canonical.select(canonical.TEXT, dialect="spark", relation="lines")))
    settled = _settled(spark, plan.settled, base)
    union(spark, parts, CANONICAL).createOrReplaceTempView("fresh")
    union(spark, settled, CANONICAL).createOrReplaceTempView("settled")
    if parts and settled:
        spark.sql(
            "SELECT DISTINCT image, model FROM fresh WHERE predicted IS NOT NULL"
        ).createOrReplaceTempView("touched")
    else:
        _frame(spark, [], "image STRING, model STRING").createOrReplaceTempView("touched")


def listing(
    spark: SparkSession, base: str, prefixes: Sequence[str] = plans.PREFIXES
) -> Iterator[str]:
    """The keys of all files under `prefixes` of `base`, with Hadoop's own client."""
    system, root = _file(spark, base)
    start = str(system.makeQualified(root).toUri().getPath()).rstrip("/") + "/"
    for prefix in prefixes:
        system, folder = _file(spark, f"{base.rstrip('/')}/{prefix}")
        if system.exists(folder):
            files = system.listFiles(folder, True)
            while files.hasNext():
                yield files.next().getPath().toUri().getPath().removeprefix(start)


def read(spark: SparkSession, base: str) -> Callable[[str], bytes]:
    """A function that fetches one small object."""

    def fetch(key: str) -> bytes:
        lines = spark.read.text(f"{base.rstrip('/')}/{key}", wholetext=True).collect()
        if not lines:
            raise NotFound("there is no such object.", where=key)
        return str(lines[0][0]).encode()

    return fetch


def write(spark: SparkSession, path: str, data: bytes) -> None:
    """Write a file atomically: by one upload on S3, by renaming elsewhere."""
    at_once = path.startswith(("s3://", "s3a://"))
    folder, _, name = path.rpartition("/")
    part = path if at_once else f"{folder}/_{name}.part"
    system, target = _file(spark, part)
    stream = system.create(target, True)
    stream.write(bytearray(data))
    stream.close()
    if not at_once:
        system.delete(_file(spark, path)[1], False)
        move(spark, part, path)


def create(spark: SparkSession, path: str, data: bytes) -> bool:
    """Create a file; False if it exists. Atomic on Hadoop's own file systems, nearly so on S3."""
    system, target = _file(spark, path)
    if system.exists(target):
        return False
    stream = system.create(target, False)
    stream.write(bytearray(data))
    stream.close()
    return True


def move(spark: SparkSession, source: str, target: str) -> None:
    """Rename a file, creating the target folder."""
    system, path = _file(spark, target)
    system.mkdirs(path.getParent())
    system.rename(_file(spark, source)[1], path)


def remove(spark: SparkSession, base: str, keys: Iterable[str]) -> None:
    """Delete files and folders; missing ones are ignored."""
    for key in keys:
        system, path = _file(spark, f"{base.rstrip('/')}/{key}")
        system.delete(path, True)


def _file(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Hadoop's file system and path of a file."""
    target = _java(spark).org.apache.hadoop.fs.Path(path)
    configuration = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001
    return target.getFileSystem(configuration), target


def _java(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm  # noqa: SLF001


def view_deleted(spark: SparkSession, images: Sequence[str]) -> None:
    """Create the view `deleted`."""
    _frame(spark, [(image,) for image in images], "image STRING").createOrReplaceTempView("deleted")


def _frame(spark: SparkSession, rows: list[tuple[str, ...]], schema: str) -> DataFrame:
    if rows:
        return spark.createDataFrame(rows, schema)
    # Spark itself creates an empty relation, without a job or Python.
    columns = ", ".join(
        f"CAST(NULL AS {kind}) AS {column}" for column, kind in map(str.split, schema.split(", "))
    )
    return spark.sql(f"SELECT {columns} WHERE FALSE")


def union(spark: SparkSession, parts: Sequence[DataFrame], schema: str) -> DataFrame:
    """The union of `parts`, or an empty relation of `schema`."""
    if not parts:
        return _frame(spark, [], schema)
    together = parts[0]
    for part in parts[1:]:
        together = together.unionByName(part)
    return together


def parquet(
    spark: SparkSession, keys: Sequence[str], base: str, *, with_file: bool = False
) -> list[DataFrame]:
    """Parquet files in the columns of pairs.sql, read together if their schemas agree.

    `with_file`: add the other columns of a pair, and the file's name as `file`.
    """
    if not keys:
        return []
    paths = [f"{base.rstrip('/')}/{key}" for key in keys]
    try:
        frames = [spark.read.option("mergeSchema", True).parquet(*paths)]
    except Exception:
        # Spark does not merge text with timestamps. A broken file fails again below, on its own.
        frames = [spark.read.parquet(path) for path in paths]
    out = []
    for frame in frames:
        kinds = {name.lower(): _kind(kind) for name, kind in frame.dtypes}
        if dict(frame.dtypes).get("labelled_at") == "bigint":  # see nanosAsLong
            kinds["labelled_at"] = "nanoseconds"
        named = (
            frame.select("*", F.col("_metadata.file_path").alias("file")) if with_file else frame
        )
        named.createOrReplaceTempView("files")
        extra = f"{canonical.extra_columns(kinds)}, file" if with_file else ""
        out.append(
            spark.sql(canonical.select(kinds, dialect="spark", relation="files", extra=extra))
        )
    return out


def _settled(spark: SparkSession, keys: Sequence[str], base: str) -> list[DataFrame]:
    if not keys:
        return []
    paths = [f"{base.rstrip('/')}/{key}" for key in keys]
    frame = spark.read.option("mergeSchema", True).parquet(*paths)
    frame.createOrReplaceTempView("files")
    kinds = canonical.settled_kinds(frame.columns)
    return [spark.sql(canonical.select_settled(kinds, dialect="spark", relation="files"))]


def _kind(kind: str) -> str:
    if kind.startswith("timestamp"):
        return "time"
    if kind in ("float", "double") or kind.startswith("decimal"):
        return "float"
    return "text" if kind == "string" else "number"


def lines(spark: SparkSession, keys: Sequence[str], base: str, schema: str) -> DataFrame:
    """JSON lines as columns of text, and their `file`; a line that is not an object has only nulls.

    Spark's parser ignores the rest of a line after its first value, unless it is in brackets.
    """
    text = spark.read.text([f"{base.rstrip('/')}/{key}" for key in keys])
    listed = F.from_json(F.concat(F.lit("["), "value", F.lit("]")), f"ARRAY<STRUCT<{schema}>>")
    parsed = text.where(F.trim("value") != "").select(listed.alias("found"), "_metadata.file_path")
    record = F.when(F.size("found") == 1, F.col("found")[0]).alias("one")
    return parsed.select(record, F.col("file_path").alias("file")).select("one.*", "file")


def _reads(spark: SparkSession, plan: plans.Plan, base: str) -> list[aggregates.Read]:
    if not plan.readings:
        return []
    lines(spark, plan.readings, base, READING_SCHEMA).createOrReplaceTempView("reading_lines")
    spark.sql(
        canonical.select_readings(dialect="spark", relation="reading_lines")
    ).createOrReplaceTempView("readings")
    return aggregates.reads(spark.sql(canonical.sql("readings.sql")).collect())


def _s3a(environ: Mapping[str, str]) -> dict[str, str]:
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": (
            str(urlsplit(endpoint).scheme == "https").lower()
        ),
    }


def _brief(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _culprit(error: BaseException) -> str | None:
    """Return the file that a Spark error names somewhere in its many lines."""
    match = re.search(r"\S+\.(parquet|jsonl)", str(error))
    return match[0] if match else None
