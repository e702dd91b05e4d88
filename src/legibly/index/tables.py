"""Writes an index: each method is one transaction, with the same SQL for SQLite and PostgreSQL."""

import contextlib
import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from legibly.errors import NotFound
from legibly.index import arrivals, database, labels, loading, record_rows, schema
from legibly.index.port import Claim
from legibly.index.queries import BATCH, DELETED, KNOWN, REBUILD, THERE, SqlQueries
from legibly.index.schema import counters, deletions, images, pairs, readings
from legibly.iteration import batched, padded
from legibly.records import (
    Batch,
    FailureRecord,
    Image,
    Label,
    LabelRecord,
    Pair,
    ReadingRecord,
    stamp,
)

_MANY = 50
"""From so many readings on a table for them is worth its making."""
_RACE_MILLISECONDS = 1000
"""How much later the turn of another process may end that asked at the same time."""
MAX_LEASE_SECONDS = 900.0
"""Seconds. A lease that ends later was given before the clock was set back."""


class SqlTables(SqlQueries):
    """Implements `index.port.Content`. Several processes may share one database."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        # Writers of a process queue here: waiting on a lock is faster than SQLite's polling.
        self._writing = threading.Lock()

    def add(self, images_: Sequence[Image], *, lease_seconds: float = 0) -> int:
        lease = (
            {"attempts": 1, "leased_until": time.time() + lease_seconds} if lease_seconds else {}
        )
        with self._write() as connection:
            fresh = self._fresh(connection, images_)
            if not fresh:
                return 0
            sequence = advance(connection, len(fresh))
            rows = [
                {**schema.image_row(image), **lease, "sequence": number}
                for number, image in enumerate(fresh, sequence)
            ]
            insert_new(
                connection, images, rows
            )  # another process may have been faster since the check
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
            first = advance(connection, len(records))
            if len(records) < _MANY:
                settled = [
                    _reading_update(record, number) for number, record in enumerate(records, first)
                ]
                connection.execute(_SETTLE, settled)
                self._insert_readings(connection, records)
            else:
                rows_ = list(map(record_rows.of_record, records))
                loading.add_readings(connection, rows_, first=first)
            rows = [
                row
                for batch in batched([record.image for record in records], BATCH)
                for row in connection.execute(_CHANGED, {"ids": padded(batch), "first": first})
            ]
        known = {(record.image, stamp(record.reading.at)): record.reading for record in records}
        return [schema.image_of(row, known.get((row.id, row.read_at))) for row in rows]

    def fail(self, record: FailureRecord) -> Image:
        facts = {"error": record.error, "width": record.width, "height": record.height}
        return self._change(record.image, {"state": "failed", **facts})

    def label(self, image: str, label: Label) -> Image:
        with self._write() as connection:
            row = self._label(connection, {image: [label]}).get(image)
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def add_labels(self, records: Sequence[LabelRecord]) -> None:
        for batch in batched(records, BATCH):
            by_image: dict[str, list[Label]] = defaultdict(list)
            for record in batch:
                by_image[record.image].append(record.label)
            with self._write() as connection:
                self._label(connection, by_image)

    def remove(self, image: str) -> None:
        with self._write() as connection:
            sequence = advance(connection, 1)
            removed = images.delete().where(images.c.id == image).returning(images.c.owner)
            owner = connection.execute(removed).scalar_one_or_none()
            row = {"image": image, "sequence": sequence, "owner": owner}
            insert_new(connection, deletions, [row])
            for table in (pairs, readings, schema.labels):
                connection.execute(table.delete().where(table.c.image == image))

    def claim(self, *, limit: int, lease_seconds: float) -> list[Claim]:
        now = time.time()
        is_over = (images.c.leased_until <= now) | (images.c.leased_until > now + MAX_LEASE_SECONDS)
        due = (images.c.state == "pending") & is_over
        chosen = sa.select(images.c.id).where(due).order_by(images.c.id).limit(limit)
        with (
            self._read() as connection
        ):  # mostly there is nothing to claim, and then no lock is needed
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
        for batch in batched(ids, BATCH):
            with self._write() as connection:
                connection.execute(
                    images.update()
                    .where(images.c.id.in_(padded(batch)), images.c.state == "pending")
                    .values(leased_until=time.time() + lease_seconds)
                )

    def defer(self, image: str, *, seconds: float) -> None:
        with self._write() as connection:
            connection.execute(
                images.update()
                .where(images.c.id == image)
                .values(leased_until=time.time() + seconds)
            )

    def take_turn(self, name: str, *, seconds: float) -> bool:
        now = round(time.time() * 1000)
        ends = now + round(seconds * 1000)
        own = counters.c.name == name
        is_running = counters.c.value.between(now + 1, ends + _RACE_MILLISECONDS)
        with self._read() as connection:  # without a lock
            if connection.execute(sa.select(counters.c.name).where(own, is_running)).first():
                return False
        with self._write() as connection:
            insert_new(connection, counters, [{"name": name, "value": now}])
            turn = counters.update().where(own, ~is_running).values(value=ends)
            return connection.execute(turn).rowcount == 1

    def release(self) -> None:
        with self._write() as connection:
            connection.execute(
                images.update().where(images.c.state == "pending").values(leased_until=0.0)
            )

    def add_pairs(self, pairs_: Sequence[Pair]) -> None:
        with self._write() as connection:
            advance(connection, 1)  # caches of reports use this number
            for batch in batched(pairs_, BATCH):
                gone = self._deleted(connection, [pair.image for pair in batch])
                rows = [schema.pair_row(pair) for pair in batch if pair.image not in gone]
                insert_new(connection, pairs, rows)

    def add_readings(self, records: Sequence[ReadingRecord]) -> None:
        with self._write() as connection:
            for batch in batched(records, BATCH):
                self._insert_readings(connection, batch)

    def begin_rebuild(self) -> None:
        with self._write() as connection:
            insert_new(connection, counters, [{"name": REBUILD, "value": 1}])

    def end_rebuild(self) -> None:
        with self._write() as connection:
            connection.execute(counters.delete().where(counters.c.name == REBUILD))

    def clear(self) -> None:
        with self._write() as connection:
            for table in (images, schema.labels, schema.batches, pairs, readings, deletions):
                connection.execute(table.delete())

    def add_batches(self, batches: Sequence[Batch]) -> None:
        with self._write() as connection:
            insert_new(connection, schema.batches, [batch.to_json() for batch in batches])

    def remove_batches(self, ids: Collection[str]) -> None:
        with self._write() as connection:
            connection.execute(schema.batches.delete().where(schema.batches.c.id.in_(ids)))

    def _change(self, image: str, values: dict[str, Any]) -> Image:
        with self._write() as connection:
            sequence = advance(connection, 1)
            row = connection.execute(
                _UPDATE.values(sequence=sequence, **values), {"image": image}
            ).one_or_none()
        if row is None:
            raise NotFound("there is no such image.", where=image)
        return schema.image_of(row)

    def _label(
        self, connection: Connection, by_image: Mapping[str, Sequence[Label]]
    ) -> dict[str, Any]:
        """Apply labels; return the resulting rows of the images that are known."""
        known = {row.id for row in connection.execute(THERE, {"ids": padded(by_image)})}
        insert_new(
            connection, schema.labels, labels.rows({image: by_image[image] for image in known})
        )
        sequence = advance(connection, len(known))
        changed = {}
        for number, (image, several) in enumerate(
            labels.read(connection, sorted(known)).items(), sequence
        ):
            statement = _UPDATE.values(sequence=number, **labels.columns(several))
            changed[image] = connection.execute(statement, {"image": image}).one()
        return changed

    def _fresh(self, connection: Connection, candidates: Sequence[Image]) -> list[Image]:
        fresh = {image.id: image for image in candidates}
        for batch in batched(list(fresh), BATCH):
            for row in connection.execute(KNOWN, {"ids": padded(batch)}):
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
        return {row.image for row in connection.execute(DELETED, {"ids": padded(ids)})}

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with database.errors(self.engine), self._writing, self.engine.begin() as connection:
            yield connection


_UPDATE = images.update().where(images.c.id == sa.bindparam("image")).returning(images)
_SETTLED = (
    *("state", "error", "sequence", "media_type", "width", "height"),
    *schema.reading_columns(None),
)  # the columns set by a reading
# Without RETURNING, so that the driver can run it for many readings.
_SETTLE = (
    images.update()
    .where(
        images.c.id == sa.bindparam("image"),
        sa.or_(images.c.read_at.is_(None), images.c.read_at <= sa.bindparam("new_read_at")),
    )
    .values({name: sa.bindparam(f"new_{name}") for name in _SETTLED})
)
_CHANGED = (
    sa.select(images)
    .where(
        images.c.id.in_(sa.bindparam("ids", expanding=True)),
        images.c.sequence >= sa.bindparam("first"),
    )
    .order_by(images.c.sequence)
)
_ADVANCE = (
    counters.update()
    .where(counters.c.name == "sequence")
    .values(value=counters.c.value + sa.bindparam("count"))
    .returning(counters.c.value)
)


def advance(connection: Connection, count: int) -> int:
    """Take the next `count` sequence numbers, and return the first.

    The counter's row stays locked until the transaction ends, so that numbers become visible in
    order and a follower that asks for numbers above n never misses one.
    """
    return int(connection.execute(_ADVANCE, {"count": count}).scalar_one()) - count + 1


def _reading_update(record: ReadingRecord, sequence: int) -> dict[str, Any]:
    """The statement that puts a reading into its image's row, unless that has a newer one."""
    values = {
        **schema.reading_columns(record.reading),
        "state": "read",
        "error": None,
        "sequence": sequence,
        "media_type": record.media_type,
        "width": record.width,
        "height": record.height,
    }
    return {"image": record.image} | {f"new_{name}": value for name, value in values.items()}


def insert_new(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows with a new primary key."""
    if rows:
        connection.execute(_insert_or_ignore(connection.dialect.name, table), rows)


# Built once, since building a statement costs as much as executing it.
@functools.cache
def _insert_or_ignore(dialect: str, table: sa.Table) -> Any:
    return database.dialect(dialect).insert(table).on_conflict_do_nothing()


@functools.cache
def _upsert_reading(dialect: str) -> Any:
    """Insert a reading, or replace an older one of the same image and model."""
    insert = database.dialect(dialect).insert(readings)
    columns = {name: insert.excluded[name] for name in ("at", "verdict", "text", "confidence")}
    return insert.on_conflict_do_update(
        index_elements=["image", "model"], set_=columns, where=insert.excluded.at > readings.c.at
    )
