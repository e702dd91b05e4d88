"""A Spark of this machine in a process of its own: a line of JSON in, a line of JSON out.

PySpark leaves sockets to the garbage collector, which the suite takes for an error: they stay in here.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from legibly.accuracy import plan as plans
from legibly.accuracy import spark_engine
from legibly.errors import LegiblyError


def main() -> None:
    """Answer until the input ends."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    spark = spark_engine.session(master="local[2]", environ=os.environ)
    spark.sparkContext.setLogLevel("OFF")
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    for line in sys.stdin:
        base = json.loads(line)
        try:
            listing = spark_engine.listing(spark, base)
            plan = plans.make(listing, read=lambda key, base=base: (Path(base) / key).read_bytes())  # type: ignore[misc]
            answer = asdict(spark_engine.table(spark, plan, base=base))
        except LegiblyError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    spark.stop()


if __name__ == "__main__":
    main()
