"""The queries that read an index, the same text for SQLite and PostgreSQL."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from operator import itemgetter

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from legibly.errors import NotFound
from legibly.index import batches, database, filters, labels, schema, tally
from legibly.index.port import (
    BatchCount,
    Change,
    Filter,
    Outline,
    Removal,
    Selection,
    Slice,
    SliceCount,
    Tally,
)
from legibly.index.schema import counters, deletions, images, pairs
from legibly.iteration import batched, padded
from legibly.records import Batch, Image, Label, Pair, stamp

BATCH = 500  # fits into the parameters of one statement
REBUILD = "rebuild"
"""The counter that exists while the index is being filled from the store."""
_PAGE = 5000
_PAIRS_KEY = (pairs.c.image, pairs.c.model, pairs.c.labelled_at)
_PAIRS = sa.select(pairs).order_by(*_PAIRS_KEY)
# Built once, since a statement caches its compiled form.
_GET = sa.select(images).where(images.c.id == sa.bindparam("image"))
_SEVERAL = sa.select(images).where(images.c.id.in_(sa.bindparam("ids", expanding=True)))
_OUTLINE = [images.c[name] for name in Outline._fields]
DELETED = sa.select(deletions.c.image).where(
    deletions.c.image.in_(sa.bindparam("ids", expanding=True))
)
THERE = sa.select(images.c.id).where(images.c.id.in_(sa.bindparam("ids", expanding=True)))
KNOWN = THERE.union_all(DELETED)
_CHANGED, _REMOVED = (
    sa.select(table)
    .where(table.c.sequence > sa.bindparam("after"), table.c.sequence <= sa.bindparam("newest"))
    .order_by(table.c.sequence)
    .limit(sa.bindparam("limit"))
    for table in (images, deletions)
)
_STATES = sa.select(schema.image_counts)
_SEQUENCE = sa.select(counters.c.value).where(counters.c.name == "sequence")


class SqlQueries:
    """The reading methods of `index.port.Index`. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get(self, image: str) -> Image:
        with self._read() as connection:
            row = connection.execute(_GET, {"image": image}).one_or_none()
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def page(self, criteria: Filter, *, limit: int, after: str | None = None) -> list[Image]:
        query = filters.page(sa.select(images), criteria, limit=limit, after=after)
        with self._read() as connection:
            return [schema.image_of(row) for row in connection.execute(query)]

    def outlines(self, criteria: Filter, *, limit: int) -> list[Outline]:
        query = filters.page(sa.select(*_OUTLINE), criteria, limit=limit)
        with self._read() as connection:
            return [Outline(*row) for row in connection.execute(query)]

    def several(self, ids: Collection[str]) -> dict[str, Image]:
        several: dict[str, Image] = {}
        with self._read() as connection:
            for batch in batched(ids, BATCH):
                rows = connection.execute(_SEVERAL, {"ids": padded(batch)})
                several |= {row.id: schema.image_of(row) for row in rows}
        return {image_id: several[image_id] for image_id in ids if image_id in several}

    def stamp(self, criteria: Filter) -> tuple[int, int]:
        query = sa.select(sa.func.max(images.c.sequence), sa.func.count())
        with self._read() as connection:
            newest, number = connection.execute(query.where(*filters.conditions(criteria))).one()
        return int(newest or 0), int(number)

    def known(self, ids: Collection[str]) -> set[str]:
        known: set[str] = set()
        with self._read() as connection:
            for batch in batched(ids, BATCH):
                known |= {row.id for row in connection.execute(KNOWN, {"ids": padded(batch)})}
        return known

    def present(self, ids: Collection[str]) -> set[str]:
        present: set[str] = set()
        with self._read() as connection:
            for batch in batched(ids, BATCH):
                present |= {row.id for row in connection.execute(THERE, {"ids": padded(batch)})}
        return present

    def labels(self, image_ids: Collection[str]) -> dict[str, list[Label]]:
        several: dict[str, list[Label]] = {}
        with self._read() as connection:
            for batch in batched(image_ids, BATCH):
                several |= labels.read(connection, batch)
        return several

    def changes(self, after: int, *, limit: int) -> list[Change]:
        with self._read() as connection:
            # The same limit for both tables: otherwise a change that commits between the queries
            # would be missed for ever.
            newest = connection.execute(_SEQUENCE).scalar_one()
            if newest <= after:
                return []
            limits = {"after": after, "newest": newest, "limit": limit}
            changed = connection.execute(_CHANGED, limits).all()
            removed = connection.execute(_REMOVED, limits).all()
        changes: list[Change] = [(row.sequence, schema.image_of(row)) for row in changed]
        changes += [(row.sequence, Removal(row.image, row.owner)) for row in removed]
        return sorted(changes, key=itemgetter(0))[:limit]

    def sequence(self) -> int:
        with self._read() as connection:
            return int(connection.execute(_SEQUENCE).scalar_one())

    def pairs(self, image_ids: Collection[str] | None = None) -> Iterator[Pair]:
        if image_ids is None:
            yield from self._all_pairs()
        for batch in batched(image_ids or (), BATCH):
            with self._read() as connection:
                rows = connection.execute(_PAIRS.where(pairs.c.image.in_(padded(batch)))).all()
            yield from map(schema.pair_of, rows)

    def _all_pairs(self) -> Iterator[Pair]:
        """Page by page, to limit memory and the length of transactions."""
        last: Pair | None = None
        while True:
            query = _PAIRS.limit(_PAGE)
            if last is not None:
                reached = sa.tuple_(last.image, last.model, stamp(last.labelled_at))
                query = query.where(sa.tuple_(*_PAIRS_KEY) > reached)
            with self._read() as connection:
                rows = connection.execute(query).all()
            for last in map(schema.pair_of, rows):
                yield last
            if len(rows) < _PAGE:
                return

    def batch(self, batch_id: str) -> Batch:
        query = sa.select(schema.batches).where(schema.batches.c.id == batch_id)
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("there is no such batch.", where=batch_id[:80])
        return batches.batch_of(row)

    def batches(
        self,
        *,
        owner: str | None = None,
        classes: frozenset[str] | None = None,
        limit: int,
        batch_id: str | None = None,
    ) -> list[BatchCount]:
        query = batches.counts(owner=owner, classes=classes, limit=limit, batch_id=batch_id)
        with self._read() as connection:
            return [batches.count_of(row) for row in connection.execute(query)]

    def tally(self, edges: Sequence[int], *, selection: Selection | None = None) -> Tally:
        with self._read() as connection:
            return tally.count(connection, edges, selection or Selection())

    def slices(self, by: Slice, *, selection: Selection, limit: int) -> list[SliceCount]:
        with self._read() as connection:
            return tally.slices(connection, by, selection, limit=limit)

    def counts(self) -> dict[str, int]:
        with self._read() as connection:
            return {row.state: row.n for row in connection.execute(_STATES) if row.n}

    def is_complete(self) -> bool:
        """Whether no rebuild was interrupted."""
        query = sa.select(counters.c.value).where(counters.c.name == REBUILD)
        with self._read() as connection:
            return connection.execute(query).first() is None

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with database.errors(self.engine), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
