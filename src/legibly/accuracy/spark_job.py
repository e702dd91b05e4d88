"""The accuracy job for `spark-submit`: pairs of a store in, `reports/…` out.

    spark-submit --py-files legibly.zip spark_job.py --store s3://BUCKET/PREFIX --out s3://BUCKET/PREFIX/reports/NAME.json

The zip needs the package `legibly` (records, keys, errors, accuracy) and nothing else; Python 3.11 or newer is needed
on the driver alone. Run again after a crash, it gives the same report.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pyspark.sql import SparkSession

from legibly.accuracy import plan as plans
from legibly.accuracy import report, spark_engine
from legibly.errors import LegiblyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status: 0, or 1 after an error that is told on stderr."""
    parser = argparse.ArgumentParser(description="Turn pairs of predicted and true labels into accuracy.")
    parser.add_argument("--store", required=True, help="s3://BUCKET/PREFIX, or a folder that every worker sees")
    parser.add_argument("--out", required=True, help="where the JSON report goes")
    parser.add_argument("--master", help="Spark master, where spark-submit does not name it")
    parser.add_argument("--no-readings", action="store_true", help="count pairs alone: no response weights, no drift")
    options = parser.parse_args(arguments)
    try:
        spark = spark_engine.session(master=options.master, environ=os.environ)
        found = run(spark, options.store, reads=not options.no_readings)
        spark_engine.write(spark, spark_engine.location(spark, options.out), found)
        spark.stop()
    except LegiblyError as error:
        print(f"legibly: {error}", file=sys.stderr)  # noqa: T201  (a program's own output)
        return 1
    return 0


def run(spark: SparkSession, store: str, *, reads: bool = True) -> bytes:
    """The encoded report of a store, `s3://…`, `file://…` or a folder."""
    base = spark_engine.location(spark, store)
    plan = plans.make(spark_engine.listing(spark, base), read=spark_engine.read(spark, base))
    return report.encode(report.build(spark_engine.table(spark, plan, base=base, reads=reads)))


if __name__ == "__main__":
    sys.exit(main())
