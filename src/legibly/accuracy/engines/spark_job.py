"""The accuracy job for `spark-submit`: pairs of a store in, `reports/…` out.

    spark-submit --py-files legibly-job.zip spark_job.py --store s3://BUCKET --out
    s3://BUCKET/reports/NAME.json --html

`make package` builds both; the zip holds records, keys, errors and accuracy, and nothing else is
needed. Only the driver needs Python 3.11 or newer. A rerun after a crash gives the same report.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from pyspark.sql import SparkSession

from legibly.accuracy import plan as plans
from legibly.accuracy import report
from legibly.accuracy.engines import spark_arguments, spark_engine
from legibly.accuracy.render import html
from legibly.errors import LegiblyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; the exit status is 0, or 1 after an error printed on stderr."""
    options = parser().parse_args(arguments)
    try:
        spark_arguments.check_addresses(store=options.store, out=options.out)
        spark_arguments.check_master(options.master)
        spark = spark_engine.session(master=options.master, environ=os.environ)
        encoded = run(
            spark,
            options.store,
            reads=not options.no_readings,
            single_label=options.single_label.split(","),
        )
        out = spark_engine.location(spark, options.out)
        if options.html:
            page = html.render(json.loads(encoded)).encode()
            spark_engine.write(spark, out.removesuffix(".json") + ".html", page)
        spark_engine.write(spark, out, encoded)
        spark.stop()
    except LegiblyError as error:
        print(f"legibly: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments of the job."""
    parser = argparse.ArgumentParser(
        description="Turn pairs of predicted and true labels into accuracy."
    )
    parser.add_argument(
        "--store", required=True, help="s3://BUCKET/PREFIX, or a folder that every worker sees"
    )
    parser.add_argument("--out", required=True, help="where to write the JSON report")
    parser.add_argument("--html", action="store_true", help="write the HTML report beside it")
    parser.add_argument(
        "--single-label",
        "--whole",
        default="-",
        help="models whose texts are a single label, separated by commas",
    )
    parser.add_argument("--master", help="Spark master, unless spark-submit names it")
    parser.add_argument(
        "--no-readings", action="store_true", help="count only pairs: no response weights, no drift"
    )
    return parser


def run(
    spark: SparkSession, store: str, *, reads: bool = True, single_label: Sequence[str] = ()
) -> bytes:
    """The encoded report of a store, `s3://…`, `file://…` or a folder."""
    base = spark_engine.location(spark, store)
    plan = plans.make(spark_engine.listing(spark, base), read=spark_engine.read(spark, base))
    return report.encode(
        report.build(
            spark_engine.table(spark, plan, base=base, reads=reads), single_label=single_label
        )
    )


if __name__ == "__main__":
    sys.exit(main())
