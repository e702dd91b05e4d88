"""A Spark of this machine in a process of its own: a line of JSON in, a line of JSON out.

PySpark leaves sockets to the garbage collector, which the suite takes for an error: they stay in
here.
"""

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from legibly.accuracy import plan as plans
from legibly.accuracy.compaction import spark_compact
from legibly.accuracy.engines import spark_engine
from legibly.errors import LegiblyError


def main() -> None:
    """Answer until the input ends."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = spark_engine.session(master="local[2]", environ=os.environ)
    spark.sparkContext.setLogLevel("OFF")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    for line in sys.stdin:
        job = json.loads(line)
        base = job["base"]
        try:
            if job["do"] == "compact":
                grace = timedelta(seconds=job["grace"])
                answer = asdict(
                    spark_compact.compact(spark, base=base, now=datetime.now(UTC), grace=grace)
                )
            else:
                listing = spark_engine.listing(spark, base)
                plan = plans.make(listing, read=spark_engine.read(spark, base))
                answer = asdict(spark_engine.table(spark, plan, base=base))
        except LegiblyError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps({**answer, "token": job["token"]}) + "\n")
        sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main()
