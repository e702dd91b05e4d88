"""Checks the arguments of a Spark session before it starts, which takes minutes and money."""

import re

from legibly.errors import Invalid

_MASTER = re.compile(r"local(\[[\d*, ]+\])?|yarn|spark://[^/\s:]+:\d+(,[^/\s:]+:\d+)*|k8s://\S+")


def check_master(master: str | None) -> None:
    """Raise Invalid unless Spark knows such a master; None is that of `spark-submit`."""
    if master and not _MASTER.fullmatch(master):
        remedy = "Write spark://HOST:7077, local[4], yarn or k8s://…"
        raise Invalid("this is no Spark master.", where=f"--master {master}", remedy=remedy)
