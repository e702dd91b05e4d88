"""Finds images that may have several pairs by a 32-bit hash: 4 bytes per image, no table of names.

Images that share a hash by chance are included, and are processed as if they had several pairs: the
result never depends on the hash, only the time does. Their rows go to files, in slices that fit
into memory one by one, with all rows of an image in the same slice.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import duckdb
import numpy as np
from numpy.typing import NDArray

from legibly.accuracy.engines import duckdb_files as files

HASH = "CAST(hash(CAST(image AS VARCHAR)) >> 32 AS UINTEGER)"
HASHES_PER_PASS = 200_000_000
"""Hashes in memory at once, 4 bytes each. More take several passes."""
_THREADS = 4
"""More threads than this do not speed up the conversion from DuckDB to NumPy."""
SLICE_IMAGES = 1_000_000
"""Images in a slice, roughly: some 300 MB while the newest row of each is selected."""


def repeated_hashes(
    connection: duckdb.DuckDBPyConnection, relations: Sequence[str], *, rows: int
) -> NDArray[np.uint32]:
    """Return the hashes that occur more than once in the `image` columns of some relations.

    `rows` is their total number of rows. A hash may be returned repeatedly. Each relation is read
    with its own cursor, in parallel, so it must not use temporary tables. A relation without a
    column `image` counts as empty.
    """
    passes = max(1, -(-rows // HASHES_PER_PASS))
    with ThreadPoolExecutor(_THREADS) as pool:
        return np.concatenate(
            [_of_pass(connection, relations, pool, rows, at, passes) for at in range(passes)]
        )


def _of_pass(
    connection: duckdb.DuckDBPyConnection,
    relations: Sequence[str],
    pool: ThreadPoolExecutor,
    rows: int,
    number: int,
    passes: int,
) -> NDArray[np.uint32]:
    hashes = np.empty(rows, np.uint32)
    used = 0
    filling = Lock()
    within = f"WHERE h % {passes} = {number}" if passes > 1 else ""

    def fetch(relation: str) -> None:
        nonlocal used
        query = f"SELECT h FROM (SELECT {HASH} AS h FROM {relation}) {within}"  # noqa: S608
        with connection.cursor() as cursor, contextlib.suppress(duckdb.BinderException):
            part = cursor.execute(query).fetchnumpy()["h"]
            with filling:
                start = used
                used = used + len(part)
            hashes[start : start + len(part)] = part

    list(pool.map(fetch, relations))
    hashes = hashes[:used]
    ends = [used * share // _THREADS for share in range(1, _THREADS)]
    if used:
        hashes.partition(ends)
    list(pool.map(np.ndarray.sort, np.split(hashes, ends)))
    again: NDArray[np.uint32] = hashes[1:][hashes[1:] == hashes[:-1]]
    return again


def create_several(
    connection: duckdb.DuckDBPyConnection,
    relations: Sequence[str],
    hashes: NDArray[np.uint32] | None,
) -> int:
    """Create the table `several`: `hashes` and those of all images in some relations.

    Returns the number of slices that its rows need.
    """
    every = [f"SELECT {HASH} FROM {relation}" for relation in relations]  # noqa: S608
    if hashes is not None:
        connection.register("found", {"h": hashes})
        every.append("SELECT h FROM found")
    query = " UNION ALL ".join(every)
    files.run(
        connection,
        f"CREATE OR REPLACE TEMP TABLE several AS SELECT DISTINCT h FROM ({query}) AS t(h)",  # noqa: S608
    )
    return 1 + int(files.run(connection, "SELECT count(*) FROM several")[0][0]) // SLICE_IMAGES


def copy(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: str, folder: Path, *, slices: int
) -> None:
    """Write the rows of a relation whose image is in `several` into a folder."""
    # Names hardly ever repeat here, so a large dictionary would be wasted work.
    options = "FORMAT parquet, COMPRESSION lz4, DICTIONARY_SIZE_LIMIT 1000"
    options += ", PARTITION_BY (slice)" if slices > 1 else ", PER_THREAD_OUTPUT"
    chosen = f"{columns}, {HASH} % {slices} AS slice" if slices > 1 else columns
    query = f"SELECT {chosen} FROM {relation} WHERE {HASH} IN (SELECT h FROM several)"  # noqa: S608
    files.run(connection, f"COPY ({query}) TO {files.quote(str(folder))} ({options})")


def slice_relation(folder: Path, number: int) -> str:
    """The relation of one slice in a folder that `copy` wrote; empty where it has no rows."""
    part = folder / f"slice={number}"
    files_of_slice = sorted(part.glob("*.parquet")) or sorted(folder.glob("*.parquet"))
    return files.parquet([str(path) for path in files_of_slice], "") if files_of_slice else ""
