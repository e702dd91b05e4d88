"""Which of very many images may have several pairs, by 32 bits of a hash each: 4 bytes an image, no table of names.

Images that share a hash by chance are named too, so whoever asks treats them as if they had several: the answer never
depends on the hash, only the time does.
"""

import duckdb
import numpy as np
from numpy.typing import NDArray

HASH = "CAST(hash(CAST(image AS VARCHAR)) >> 32 AS UINTEGER)"
AT_ONCE = 100_000_000
"""Hashes that are held at once, 8 bytes each while they are sorted. More are taken in several passes."""


def find(connection: duckdb.DuckDBPyConnection, relation: str, *, rows: int) -> NDArray[np.uint32]:
    """The hashes that occur more than once in the column `image` of a relation of `rows` rows."""
    passes = -(-rows // AT_ONCE)
    return np.concatenate([_of_pass(connection, relation, number, passes) for number in range(passes)])


def _of_pass(connection: duckdb.DuckDBPyConnection, relation: str, number: int, passes: int) -> NDArray[np.uint32]:
    within = f"WHERE h % {passes} = {number}" if passes > 1 else ""
    query = f"SELECT h FROM (SELECT {HASH} AS h FROM {relation}) {within}"  # noqa: S608  (a relation of ours)
    held = connection.execute(query).fetchnumpy()["h"]
    held.sort()
    return np.unique(held[1:][held[1:] == held[:-1]])
