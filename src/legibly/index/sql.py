"""The index on SQLite or PostgreSQL, one query text for both."""

import contextlib
import functools
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from legibly.errors import Invalid, NotFound
from legibly.index import arrivals, batches, database, filters, labels, schema, tally, upgrade
from legibly.index.port import BatchCount, Change, Claim, Filter, Removal, Selection, Tally
from legibly.index.schema import counters, deletions, images, pairs, readings
from legibly.iteration import batched
from legibly.records import Batch, Image, Label, LabelRecord, Pair, ReadingRecord, stamp

if TYPE_CHECKING:
    from legibly.index.rebuild import Rebuild

_log = logging.getLogger(__name__)
_BATCH = 500  # fits the parameters of one statement
_DIALECTS: Mapping[str, Any] = {"sqlite": sqlite, "postgresql": postgresql}
_PAGE = 5000
_REBUILD = "rebuild"
"""The counter that is there while the index is being filled from the store."""


class SqlIndex:
    """Implements `index.port.Index`. Thread-safe; several processes may share one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # Writers of one process queue here: waiting on a lock is quicker than SQLite's own polling.
        self._writing = threading.Lock()

    # Writing

    def add(self, images_: Sequence[Image], *, lease_seconds: float = 0) -> int:
        lease = (
            {"attempts": 1, "leased_until": time.time() + lease_seconds} if lease_seconds else {}
        )
        with self._write() as connection:
            fresh = self._fresh(connection, images_)
            if not fresh:
                return 0
            sequence = _advance(connection, len(fresh))
            rows = [
                {**schema.image_row(image), **lease, "sequence": number}
                for number, image in enumerate(fresh, sequence)
            ]
            insert_new(
                connection, images, rows
            )  # another process may have been quicker since the look
            insert_new(
                connection,
                schema.labels,
                labels.rows({record.id: [record.label] for record in fresh if record.label}),
            )
            return len(fresh)

    def add_read(
        self, images_: Sequence[Image], *, write: Callable[[Collection[str]], None]
    ) -> set[str]:
        with self._write() as connection:
            return arrivals.insert(connection, images_, write=write)

    def apply_readings(self, records: Sequence[ReadingRecord]) -> list[Image]:
        if not records:
            return []
        with self._write() as connection:
            first = _advance(connection, len(records))
            rows = [
                _settle(connection, record, sequence)
                for sequence, record in enumerate(records, first)
            ]
            self._insert_readings(connection, records)
        return [schema.image_of(row) for row in rows if row is not None]

    def fail(self, image: str, error: str) -> Image:
        return self._change(image, {"state": "failed", "error": error})

    def label(self, image: str, label: Label) -> Image:
        with self._write() as connection:
            row = self._label(connection, {image: [label]}).get(image)
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def add_labels(self, records: Sequence[LabelRecord]) -> None:
        for batch in batched(records, _BATCH):
            by_image: dict[str, list[Label]] = defaultdict(list)
            for record in batch:
                by_image[record.image].append(record.label)
            with self._write() as connection:
                self._label(connection, by_image)

    def remove(self, image: str) -> None:
        with self._write() as connection:
            sequence = _advance(connection, 1)
            removed = images.delete().where(images.c.id == image).returning(images.c.owner)
            owner = connection.execute(removed).scalar_one_or_none()
            row = {"image": image, "sequence": sequence, "owner": owner}
            insert_new(connection, deletions, [row])
            for table in (pairs, readings, schema.labels):
                connection.execute(table.delete().where(table.c.image == image))

    def claim(self, *, limit: int, lease_seconds: float) -> list[Claim]:
        now = time.time()
        due = (images.c.state == "pending") & (images.c.leased_until <= now)
        chosen = sa.select(images.c.id).where(due).order_by(images.c.id).limit(limit)
        with (
            self._read() as connection
        ):  # most looks find nothing, and then nobody has to wait for a writer
            if connection.execute(chosen.limit(1)).first() is None:
                return []
        with self._write() as connection:
            rows = connection.execute(
                images.update()
                .where(images.c.id.in_(chosen), due)
                .values(leased_until=now + lease_seconds, attempts=images.c.attempts + 1)
                .returning(images)
            ).all()
        return [
            Claim(schema.image_of(row), row.attempts)
            for row in sorted(rows, key=lambda row: row.id)
        ]

    def renew(self, ids: Collection[str], *, lease_seconds: float) -> None:
        for batch in batched(ids, _BATCH):
            with self._write() as connection:
                connection.execute(
                    images.update()
                    .where(images.c.id.in_(batch), images.c.state == "pending")
                    .values(leased_until=time.time() + lease_seconds)
                )

    def defer(self, image: str, *, seconds: float) -> None:
        with self._write() as connection:
            connection.execute(
                images.update()
                .where(images.c.id == image)
                .values(leased_until=time.time() + seconds)
            )

    def release(self) -> None:
        with self._write() as connection:
            connection.execute(
                images.update().where(images.c.state == "pending").values(leased_until=0.0)
            )

    def add_pairs(self, pairs_: Sequence[Pair]) -> None:
        with self._write() as connection:
            _advance(connection, 1)  # whoever keeps a report by this number makes it anew
            for batch in batched(pairs_, _BATCH):
                gone = self._deleted(connection, [pair.image for pair in batch])
                rows = [schema.pair_row(pair) for pair in batch if pair.image not in gone]
                insert_new(connection, pairs, rows)

    def add_readings(self, records: Sequence[ReadingRecord]) -> None:
        with self._write() as connection:
            for batch in batched(records, _BATCH):
                self._insert_readings(connection, batch)

    def begin_rebuild(self) -> None:
        with self._write() as connection:
            insert_new(connection, counters, [{"name": _REBUILD, "value": 1}])

    def end_rebuild(self) -> None:
        with self._write() as connection:
            connection.execute(counters.delete().where(counters.c.name == _REBUILD))

    def is_complete(self) -> bool:
        """Whether no rebuild was cut off."""
        query = sa.select(counters.c.value).where(counters.c.name == _REBUILD)
        with self._read() as connection:
            return connection.execute(query).first() is None

    def clear(self) -> None:
        with self._write() as connection:
            for table in (images, schema.labels, schema.batches, pairs, readings, deletions):
                connection.execute(table.delete())

    def rebuilding(self) -> "contextlib.AbstractContextManager[Rebuild]":
        from legibly.index import rebuild

        return rebuild.beside(self.engine)

    # Reading

    def get(self, image: str) -> Image:
        with self._read() as connection:
            row = connection.execute(_GET, {"image": image}).one_or_none()
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def page(self, criteria: Filter, *, limit: int, after: str | None = None) -> list[Image]:
        query = sa.select(images).where(*filters.conditions(criteria)).limit(limit)
        query = filters.ordered(query, criteria.sort, after)
        with self._read() as connection:
            return [schema.image_of(row) for row in connection.execute(query)]

    def stamp(self, criteria: Filter) -> tuple[int, int]:
        query = sa.select(sa.func.max(images.c.sequence), sa.func.count())
        with self._read() as connection:
            newest, number = connection.execute(query.where(*filters.conditions(criteria))).one()
        return int(newest or 0), int(number)

    def known(self, ids: Collection[str]) -> set[str]:
        known: set[str] = set()
        with self._read() as connection:
            for batch in batched(ids, _BATCH):
                known |= {row.id for row in connection.execute(_KNOWN, {"ids": batch})}
        return known

    def labels(self, image_ids: Collection[str]) -> dict[str, list[Label]]:
        several: dict[str, list[Label]] = {}
        with self._read() as connection:
            for batch in batched(image_ids, _BATCH):
                several |= labels.read(connection, batch)
        return several

    def changes(self, after: int, *, limit: int) -> list[Change]:
        with self._read() as connection:
            # Up to one number in both tables: a change that commits between the two queries
            # would be passed over for ever.
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
        for batch in batched(image_ids or (), _BATCH):
            with self._read() as connection:
                rows = connection.execute(_PAIRS.where(pairs.c.image.in_(batch))).all()
            yield from map(schema.pair_of, rows)

    def _all_pairs(self) -> Iterator[Pair]:
        """Page by page, so that neither memory nor a transaction has to hold them all."""
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

    def add_batches(self, batches: Sequence[Batch]) -> None:
        with self._write() as connection:
            insert_new(connection, schema.batches, [batch.to_json() for batch in batches])

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

    def remove_batches(self, ids: Collection[str]) -> None:
        with self._write() as connection:
            connection.execute(schema.batches.delete().where(schema.batches.c.id.in_(ids)))

    def tally(self, edges: Sequence[int], *, selection: Selection | None = None) -> Tally:
        with self._read() as connection:
            return tally.count(connection, edges, selection or Selection())

    def counts(self) -> dict[str, int]:
        query = sa.select(images.c.state, sa.func.count().label("number")).group_by(images.c.state)
        with self._read() as connection:
            return {row.state: row.number for row in connection.execute(query)}

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    # Within

    def _change(self, image: str, values: dict[str, Any]) -> Image:
        with self._write() as connection:
            sequence = _advance(connection, 1)
            row = connection.execute(
                _UPDATE.values(sequence=sequence, **values), {"image": image}
            ).one_or_none()
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def _label(
        self, connection: Connection, by_image: Mapping[str, Sequence[Label]]
    ) -> dict[str, Any]:
        """Take labels in; the rows of their images as they are then, those only that are known."""
        known = {row.id for row in connection.execute(_THERE, {"ids": list(by_image)})}
        insert_new(
            connection, schema.labels, labels.rows({image: by_image[image] for image in known})
        )
        sequence = _advance(connection, len(known))
        changed = {}
        for number, (image, several) in enumerate(
            labels.read(connection, sorted(known)).items(), sequence
        ):
            statement = _UPDATE.values(sequence=number, **labels.columns(several))
            changed[image] = connection.execute(statement, {"image": image}).one()
        return changed

    def _fresh(self, connection: Connection, candidates: Sequence[Image]) -> list[Image]:
        fresh = {image.id: image for image in candidates}
        for batch in batched(list(fresh), _BATCH):
            for row in connection.execute(_KNOWN, {"ids": batch}):
                fresh.pop(row.id, None)
        return list(fresh.values())

    def _insert_readings(self, connection: Connection, records: Sequence[ReadingRecord]) -> None:
        gone = self._deleted(connection, [record.image for record in records])
        rows = [
            schema.reading_row(record.image, record.reading)
            for record in records
            if record.image not in gone
        ]
        if rows:
            connection.execute(_upsert_reading(connection.dialect.name), rows)

    def _deleted(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        return {row.image for row in connection.execute(_DELETED, {"ids": ids})}

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with database.errors(self.engine), self._writing, self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with database.errors(self.engine), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")


_PAIRS_KEY = (pairs.c.image, pairs.c.model, pairs.c.labelled_at)
_PAIRS = sa.select(pairs).order_by(*_PAIRS_KEY)
# Built once: what a statement compiles to is remembered with it.
_GET = sa.select(images).where(images.c.id == sa.bindparam("image"))
_UPDATE = images.update().where(images.c.id == sa.bindparam("image")).returning(images)
_DELETED = sa.select(deletions.c.image).where(
    deletions.c.image.in_(sa.bindparam("ids", expanding=True))
)
_THERE = sa.select(images.c.id).where(images.c.id.in_(sa.bindparam("ids", expanding=True)))
_KNOWN = _THERE.union_all(_DELETED)
_CHANGED, _REMOVED = (
    sa.select(table)
    .where(table.c.sequence > sa.bindparam("after"), table.c.sequence <= sa.bindparam("newest"))
    .order_by(table.c.sequence)
    .limit(sa.bindparam("limit"))
    for table in (images, deletions)
)
_SETTLED = (
    *("state", "error", "sequence", "media_type", "width", "height"),
    *schema.reading_columns(None),
)  # the columns that a reading sets
_SETTLE = _UPDATE.where(
    sa.or_(images.c.read_at.is_(None), images.c.read_at <= sa.bindparam("new_read_at"))
).values({name: sa.bindparam(f"new_{name}") for name in _SETTLED})
_ADVANCE = (
    counters.update()
    .where(counters.c.name == "sequence")
    .values(value=counters.c.value + sa.bindparam("count"))
    .returning(counters.c.value)
)
_SEQUENCE = sa.select(counters.c.value).where(counters.c.name == "sequence")


def _advance(connection: Connection, count: int) -> int:
    """Take the next `count` sequence numbers, the first of which is returned.

    The counter's row stays locked until the transaction ends, so that numbers become visible in
    their order and a follower that asks for what is newer than n never misses one.
    """
    return int(connection.execute(_ADVANCE, {"count": count}).scalar_one()) - count + 1


def _settle(connection: Connection, record: ReadingRecord, sequence: int) -> Any:
    """Put a reading into its image's row, unless a newer reading stands there; returns the row
    where there is one.
    """
    values = {
        **schema.reading_columns(record.reading),
        "state": "read",
        "error": None,
        "sequence": sequence,
        "media_type": record.media_type,
        "width": record.width,
        "height": record.height,
    }
    bound = {f"new_{name}": value for name, value in values.items()}
    return connection.execute(_SETTLE, {"image": record.image, **bound}).one_or_none()


def insert_new(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose primary key is not there yet."""
    if rows:
        connection.execute(_insert_or_ignore(connection.dialect.name, table), rows)


# Statements are built once: building one costs as much as executing it.
@functools.cache
def _insert_or_ignore(dialect: str, table: sa.Table) -> Any:
    return _DIALECTS[dialect].insert(table).on_conflict_do_nothing()


@functools.cache
def _upsert_reading(dialect: str) -> Any:
    """A reading of an image and model that has one already replaces it if it is newer."""
    insert = _DIALECTS[dialect].insert(readings)
    columns = {name: insert.excluded[name] for name in ("at", "verdict", "text", "confidence")}
    return insert.on_conflict_do_update(
        index_elements=["image", "model"], set_=columns, where=insert.excluded.at > readings.c.at
    )


def open_index(
    url: str, *, renew: bool = False, namespace: str | None = None, schema_name: str | None = None
) -> SqlIndex:
    """Open the index at `sqlite:///PATH` or `postgresql://…`, and make its tables where they are
    missing.

    With `renew`, tables of another version make way for empty ones: the object store has all that
    they held. Raises Invalid for other URLs, a missing driver and the tables of another version;
    Unavailable where nobody answers. `schema_name` is a schema of
    PostgreSQL instead of that of the namespace.
    """
    if renew and (aside := database.set_aside_if_corrupt(url)):
        _log.warning("%s was no database any more; it is kept as %s", url, aside)
    engine = database.engine(url, namespace=namespace, schema_name=schema_name)
    where = engine.url.render_as_string(hide_password=True)
    index = SqlIndex(engine)
    with database.errors(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                sa.text("SELECT pg_advisory_xact_lock(7302)")
            )  # two servers may start at once
        if sa.inspect(connection).has_table(counters.name):
            upgrade.extend(connection, _version(connection) or 0)
            if renew and _version(connection) != schema.VERSION:
                schema.METADATA.drop_all(connection)
        schema.METADATA.create_all(connection)
        insert_new(
            connection,
            counters,
            [{"name": "sequence", "value": 0}, {"name": "schema", "value": schema.VERSION}],
        )
        version = _version(connection)
    if version != schema.VERSION:
        index.close()
        remedy = "Run `legibly reindex`: it makes them anew, out of the object store."
        if version is not None and version > schema.VERSION:
            remedy = (
                f"A newer Legibly wrote them: upgrade this one. Or: {remedy[0].lower()}{remedy[1:]}"
            )
        raise Invalid(
            f"its tables are of version {version}, not {schema.VERSION}.",
            where=where,
            remedy=remedy,
        )
    return index


def _version(connection: Connection) -> int | None:
    """The version of the tables that are there."""
    return connection.execute(
        sa.select(counters.c.value).where(counters.c.name == "schema")
    ).scalar()
