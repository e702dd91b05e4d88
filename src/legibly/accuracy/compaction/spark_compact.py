"""The compaction of `compact.py` on Spark, for stores that would take one machine too long.

Same files, same manifest. Hadoop's file systems do not guarantee an atomic "create unless it
exists" on S3: run one compaction at a time there, as a nightly job does.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import unquote

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from legibly import records
from legibly.accuracy import plan as plans
from legibly.accuracy.compaction.summary import Done
from legibly.accuracy.engines import canonical, spark_engine
from legibly.errors import Conflict

_NEWEST = f"""
SELECT image, predicted, {canonical.stored_actual()} AS actual, exact AS confidence, model, writer,
  source, verdict,
  CASE WHEN us >= 0 THEN timestamp_micros(us) END AS labelled_at,
  CASE WHEN us >= 0 THEN us END AS labelled_us,
  CASE WHEN us >= 0 THEN date_format(timestamp_micros(us), 'yyyy-MM-dd') ELSE 'unknown' END AS date
FROM (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY image, model ORDER BY {canonical.NEWEST_FIRST}) AS place
    FROM taken
) AS ranked ANTI JOIN deleted ON ranked.image = deleted.image
WHERE place = 1
"""  # noqa: S608


def compact(spark: SparkSession, *, base: str, now: datetime, grace: timedelta) -> Done:
    """Merge the new pairs under `base` into its settled files.

    Raises Conflict if another run committed first: run it again.
    """
    keys = sorted(spark_engine.listing(spark, base))
    plan = plans.make(keys, read=spark_engine.read(spark, base))
    before = now - grace
    removed = [
        key
        for key, at in plan.manifest.retired.items()
        if key in keys and records.moment(at) <= before
    ]
    spark_engine.remove(spark, base, removed)
    spark_engine.view_deleted(spark, plan.deleted)
    taken, flawed = _take_fresh(spark, plan, base)
    fresh = [key for key in (*plan.lines, *plan.parquet) if key not in flawed]
    taken, reopened = _take_settled(spark, plan, base, taken)
    if not fresh and not reopened:
        return Done(files_removed=len(removed), files_flawed=len(flawed))
    taken.createOrReplaceTempView("taken")
    read = taken.count()
    created = list(_write(spark, base, plan.folder))
    written = spark.read.parquet(*(f"{base}/{key}" for key in created)).count() if created else 0
    gone = [*fresh, *reopened, *([plan.counts] if plan.counts else [])]
    waiting = {
        key: at for key, at in plan.manifest.retired.items() if key in keys and key not in removed
    }
    files = sorted([*(key for key in plan.settled if key not in reopened), *created])
    retired = waiting | dict.fromkeys(gone, records.stamp(now))
    manifest = plans.Manifest(plan.manifest.number + 1, tuple(files), retired)
    if not spark_engine.create(spark, f"{base}/{manifest.key}", manifest.encode()):
        spark_engine.remove(spark, base, created)
        raise Conflict(
            "another compaction finished first.", where=manifest.key, remedy="Run it again."
        )
    if not grace:
        spark_engine.remove(spark, base, gone)
        removed += gone
    return Done(read, len(fresh) + len(reopened), written, len(created), len(removed), len(flawed))


def _take_fresh(spark: SparkSession, plan: plans.Plan, base: str) -> tuple[DataFrame, set[str]]:
    """Return the new pairs, and the keys of files with a malformed line, which are left out."""
    parts = _frames(spark, plan.parquet, base)
    if plan.lines:
        schema = f"{spark_engine.PAIR_SCHEMA}, writer: STRING"
        spark_engine.lines(spark, plan.lines, base, schema).createOrReplaceTempView("files")
        extra = f"{canonical.extra_columns(canonical.TEXT)}, file"
        parts.append(
            spark.sql(
                canonical.select(canonical.TEXT, dialect="spark", relation="files", extra=extra)
            )
        )
    columns = f"{spark_engine.CANONICAL}, exact DOUBLE, writer STRING, verdict STRING, file STRING"
    taken = spark_engine.union(spark, parts, columns).persist(StorageLevel.MEMORY_AND_DISK)
    bad = taken.where("predicted IS NULL").select("file").distinct()
    flawed = _keys((row[0] for row in bad.collect()), (*plan.lines, *plan.parquet))
    return taken.join(bad, "file", "left_anti").select(taken.columns), flawed


def _take_settled(
    spark: SparkSession, plan: plans.Plan, base: str, taken: DataFrame
) -> tuple[DataFrame, list[str]]:
    """Add settled files to rewrite: with an image of new pairs, a deleted one, or misplaced."""
    if not plan.settled:
        return taken, []
    settled = spark_engine.union(spark, _frames(spark, plan.settled, base), spark_engine.CANONICAL)
    touched = settled.join(
        taken.select("image", "model").distinct(), ["image", "model"], "left_semi"
    )
    doomed = settled.join(spark.table("deleted"), "image", "left_semi")
    files = touched.select("file").union(doomed.select("file")).distinct().collect()
    reopened = sorted(_keys((row[0] for row in files), plan.settled) | set(plan.misplaced))
    for frame in _frames(spark, reopened, base):
        taken = taken.unionByName(frame)
    return taken, reopened


def _frames(spark: SparkSession, keys: Sequence[str], base: str) -> list[DataFrame]:
    return spark_engine.parquet(spark, keys, base, with_file=True)


def _write(spark: SparkSession, base: str, root: str) -> Iterator[str]:
    """Write one file per day into a temporary folder, then move them to unique names in `root`."""
    run = secrets.token_hex(8)
    folder = f"{root}_run-{run}/"
    newest = spark.sql(_NEWEST).repartition("date")
    newest.write.partitionBy("date").parquet(f"{base}/{folder}")
    parts = [key for key in spark_engine.listing(spark, base, [folder]) if key.endswith(".parquet")]
    for number, key in enumerate(sorted(parts)):
        day = key.split("/")[-2]
        target = f"{root}{day}/settled-{run}-{number}.parquet"
        spark_engine.move(spark, f"{base}/{key}", f"{base}/{target}")
        yield target
    spark_engine.remove(spark, base, [folder])


def _keys(files: Iterable[str], known: Sequence[str]) -> set[str]:
    """Return the keys of files that Spark names by percent-encoded URIs."""
    paths = [unquote(file) for file in files]
    return {key for key in known if any(path.endswith(f"/{key}") for path in paths)}
