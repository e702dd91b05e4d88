"""Checks the arguments of a Spark session before it starts, which takes minutes and money."""

import re

from legibly.errors import Invalid

_MASTER = re.compile(r"local(\[[\d*, ]+\])?|yarn|spark://[^/\s:]+:\d+(,[^/\s:]+:\d+)*|k8s://\S+")
_SCHEMES = ("file", "s3", "s3a", "hdfs")


def check_master(master: str | None) -> None:
    """Raise Invalid unless Spark knows such a master; None is that of `spark-submit`."""
    if master and not _MASTER.fullmatch(master):
        remedy = "Write spark://HOST:7077, local[4], yarn or k8s://…"
        raise Invalid("this is no Spark master.", where=f"--master {master}", remedy=remedy)


def check_addresses(*, store: str, out: str) -> None:
    """Raise Invalid unless Spark can read `store` and write a JSON file at `out`."""
    for name, address in (("store", store), ("out", out)):
        scheme = address.partition("://")[0] if "://" in address else "file"
        if scheme not in _SCHEMES:
            remedy = f"Use a folder, or one of {', '.join(_SCHEMES)}."
            raise Invalid(
                "Spark reads no such address.", where=f"--{name} {address}", remedy=remedy
            )
    if not out.endswith(".json"):
        remedy = "Name the report's file: …/reports/name.json."
        raise Invalid("this is no JSON file.", where=f"--out {out}", remedy=remedy)
