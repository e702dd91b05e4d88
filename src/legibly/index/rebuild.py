"""Builds an index beside the one in use, and swaps the two in one transaction.

Until then, and after an error, the index in use stays. Changes to it in the meantime are carried
over. SQLite uses a second file, PostgreSQL a second schema.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from legibly import object_keys, text_rules
from legibly.index import counting, database, labels, loading, schema
from legibly.index.loading import Row, create_indexes, drop_indexes, index_names, loaded
from legibly.index.opening import open_tables
from legibly.index.record_rows import PictureRow, ReadingRow
from legibly.index.schema import counters, deletions, images
from legibly.index.tables import SqlTables, advance, insert_new
from legibly.records import FailureRecord, LabelRecord, UploadRecord, now

_Add = Callable[..., None]
_OF_IMAGES = (schema.labels, schema.pairs, schema.readings)
_TABLES = (images, *_OF_IMAGES, schema.batches, deletions, *counting.TABLES)
_PICTURE = "id, key, received_at, media_type, bytes, sequence"
_UPLOAD = ("name", "writer", "owner", "batch")
_FAILURE = ("error", "width", "height")
_LABEL = ("label_text", "label_at", "label_source", "label_by", "label_boxes", "review")
_LABEL_COLUMNS = ("id", *_LABEL[:-1])
_INSERT_LABELS = f"""
INSERT INTO labels (image, text, at, source, "by", boxes)
  SELECT {", ".join(_LABEL_COLUMNS)} FROM loaded
  WHERE EXISTS (SELECT 1 FROM images WHERE images.id = loaded.id)
  ON CONFLICT DO NOTHING"""
_INSERT_PICTURES = f"""
INSERT INTO images ({_PICTURE}, state, name, attempts, leased_until)
  SELECT {_PICTURE}, 'pending', '', 0, 0 FROM loaded {loading.NOT_DELETED}
  ON CONFLICT DO NOTHING"""


_COUNT_LABELLED = "SELECT count(DISTINCT image) FROM labels"
_UPDATE_UPLOADS = loading.update(_UPLOAD)
_UPDATE_LABELS = loading.update(_LABEL)
_UPDATE_FAILURES = loading.update(_FAILURE, more=", state = 'failed'")


class Rebuild(SqlTables):
    """An index that is being filled, with the methods for filling it."""

    def add_deletions(self, ids: Sequence[str]) -> None:
        with self._write() as connection:
            insert_new(connection, deletions, [{"image": image} for image in ids])

    def add_pictures(self, pictures: Sequence[PictureRow]) -> None:
        if not pictures:
            return
        with self._write() as connection:
            first = advance(connection, len(pictures))
            rows = [(*picture, number) for number, picture in enumerate(pictures, first)]
            with loaded(connection, rows, columns=_PICTURE):
                connection.exec_driver_sql(_INSERT_PICTURES)

    def add_all_readings(self, batches: Iterable[Sequence[ReadingRow]]) -> int:
        for rows in batches:
            self._take_in(rows, loading.add_readings)
        return self.counts().get("read", 0)

    def _take_in(self, rows: Sequence[ReadingRow], add: _Add) -> None:
        with self._write() as connection:
            loading.look_up(connection)
            add(connection, rows, first=advance(connection, len(rows)))

    def apply_uploads(self, records: Sequence[UploadRecord]) -> None:
        clean = text_rules.clean
        rows = [
            (entry.image, clean(entry.name) or "", clean(entry.writer), entry.owner, entry.batch)
            for entry in records
        ]
        self._load(rows, ("id", *_UPLOAD), (_UPDATE_UPLOADS,))

    def apply_failures(self, records: Sequence[FailureRecord]) -> None:
        rows = [(entry.image, entry.error, entry.width, entry.height) for entry in records]
        self._load(rows, ("id", *_FAILURE), (_UPDATE_FAILURES,))

    def add_labels(self, records: Sequence[LabelRecord]) -> None:
        rows = [(record.image, *schema.label_columns(record.label).values()) for record in records]
        self._load(rows, _LABEL_COLUMNS, (_INSERT_LABELS,))
        ids = sorted({record.image for record in records})
        changed: list[Row] = []
        for image, several in self.labels(ids).items():
            changed.append((image, *labels.columns(several).values()))
        self._load(changed, ("id", *_LABEL), (_UPDATE_LABELS,))

    def _load(self, rows: Sequence[Row], columns: Sequence[str], statements: Sequence[str]) -> None:
        with self._write() as connection:
            loading.look_up(connection)
            loading.execute(connection, rows, columns=columns, statements=statements)

    def count(self) -> int:
        with self._read() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM images").scalar_one())

    def count_labelled(self) -> int:
        with self._read() as connection:
            return int(connection.exec_driver_sql(_COUNT_LABELLED).scalar_one())


class _Beside(Rebuild):
    """A rebuilt index beside the one in use: nobody else reads or writes it."""

    def add_all_readings(self, batches: Iterable[Sequence[ReadingRow]]) -> int:
        with self._write() as connection:
            loading.set_aside(connection)
        for rows in batches:
            self._take_in(rows, loading.insert_readings)
        with self._write() as connection:
            return loading.add_rest(connection)

    def unorder(self) -> None:
        """Do without indexes and numbers of rows while tables are filled."""
        with self._write() as connection:
            counting.drop_triggers(connection)
            drop_indexes(connection)
            self._log_changes(connection, "UNLOGGED")

    def order(self) -> None:
        """Build the indexes, count the rows, and let PostgreSQL count what its plans depend on."""
        is_sqlite = self.engine.dialect.name == "sqlite"
        with self._read() if is_sqlite else self._write() as connection:
            if is_sqlite:
                _sort_in_files(connection)
            self._log_changes(connection, "LOGGED")
            create_indexes(connection)
            counting.start(connection)
            for table in () if is_sqlite else _TABLES:
                connection.exec_driver_sql(f"ANALYZE {table.name}")

    def _log_changes(self, connection: Connection, mode: str) -> None:
        """A table that a crash of PostgreSQL empties needs no log of its changes."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"ALTER TABLE images SET {mode}")


@contextlib.contextmanager
def beside(engine: Engine) -> Iterator[Rebuild]:
    """An empty index to fill, which replaces that of `engine` after the block."""
    index = Rebuild(engine)
    if engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:"):
        index.begin_rebuild()
        index.clear()
        yield index
        index.end_rebuild()
        return
    sequence = index.sequence()
    begun = object_keys.new_id(now())
    with _opened(engine) as fresh:
        yield fresh
        fresh.order()
        with database.errors(engine), _transaction(engine, fresh) as (connection, new, old):
            _set_path(connection, new)  # where the triggers of the new tables count
            _carry_over(connection, new, old, sequence=sequence, begun=begun)
            _set_path(connection, old)
            _replace(connection, new, old)


@contextlib.contextmanager
def _opened(engine: Engine) -> Iterator[_Beside]:
    """An empty index of the same kind, dropped at the end; drops that of a crashed rebuild too."""
    url = engine.url.render_as_string(hide_password=False)
    if engine.dialect.name == "sqlite":
        path = Path(f"{engine.url.database}.rebuild")
        _remove(path)
        opened = open_tables(f"sqlite:///{path}")
        with opened.connect() as raw:  # a file that a crash loses anyway needs no journal
            connection = raw.execution_options(isolation_level="AUTOCOMMIT")
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
    else:
        url = url.replace("postgresql+psycopg:", "postgresql:")
        with engine.begin() as connection:
            name = _schema(connection)
            connection.execute(sa.text(f'DROP SCHEMA IF EXISTS "{name}__rebuild" CASCADE'))
        opened = open_tables(url, schema_name=f"{name}__rebuild")
    try:
        fresh = _Beside(opened)
        fresh.unorder()
        yield fresh
    finally:
        opened.dispose()
        if engine.dialect.name == "sqlite":
            _remove(path)
        else:
            with database.errors(engine), engine.begin() as connection:
                connection.execute(sa.text(f'DROP SCHEMA IF EXISTS "{name}__rebuild" CASCADE'))


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _schema(connection: Connection) -> str:
    return str(connection.execute(sa.text("SELECT current_schema()")).scalar_one())


@contextlib.contextmanager
def _transaction(engine: Engine, fresh: Rebuild) -> Iterator[tuple[Connection, str, str]]:
    """A transaction on both indexes that locks out other writers; yields their prefixes."""
    if engine.dialect.name != "sqlite":
        fresh.close()
        with engine.begin() as connection:
            name = _schema(connection)
            connection.execute(sa.text(f'LOCK TABLE "{name}".counters IN ACCESS EXCLUSIVE MODE'))
            yield connection, f'"{name}__rebuild"', f'"{name}"'
        return
    path = fresh.engine.url.database
    with engine.connect() as raw:
        connection = raw.execution_options(isolation_level="AUTOCOMMIT")
        _sort_in_files(connection)
        connection.execute(sa.text("ATTACH :path AS fresh"), {"path": path})
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection, "fresh", "main"
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
        finally:
            connection.exec_driver_sql("DETACH fresh")


def _sort_in_files(connection: Connection) -> None:
    """Prepare for millions of rows, outside of a transaction."""
    connection.detach()  # closed at the end: nothing else wants so much memory, or files
    connection.exec_driver_sql("PRAGMA temp_store=FILE")
    connection.exec_driver_sql("PRAGMA cache_size=-65536")


def _set_path(connection: Connection, schema_name: str) -> None:
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SET LOCAL search_path TO {schema_name}")


def _carry_over(connection: Connection, new: str, old: str, *, sequence: int, begun: str) -> None:
    """Copy changes in the old index after this sequence number to the new one."""
    values = {"sequence": sequence, "begun": begun}
    changed = f"SELECT id FROM {old}.images WHERE sequence > :sequence"

    def run(statement: str) -> None:
        connection.execute(sa.text(statement), values if ":" in statement else {})

    run(f"DELETE FROM {new}.images WHERE id IN ({changed})")
    run(_copy(images, new, old, "sequence > :sequence"))
    for table in _OF_IMAGES:
        run(_copy(table, new, old, f"image IN ({changed})"))
    run(_copy(schema.batches, new, old, "id >= :begun"))
    run(_copy(deletions, new, old, "true"))
    run(f"DELETE FROM {new}.images WHERE id IN (SELECT image FROM {old}.deletions)")
    for table in _OF_IMAGES:
        run(f"DELETE FROM {new}.{table.name} WHERE image IN (SELECT image FROM {old}.deletions)")


def _copy(table: sa.Table, new: str, old: str, condition: str) -> str:
    """Rows of the old table that are not in the new one."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return (
        f"INSERT INTO {new}.{table.name} ({names}) SELECT {names} FROM {old}.{table.name}"
        f" WHERE {condition} ON CONFLICT DO NOTHING"
    )


def _replace(connection: Connection, new: str, old: str) -> None:
    """Replace the old tables by the new ones; sequence numbers keep rising."""
    if connection.dialect.name == "sqlite":
        for table in _TABLES:
            table.drop(connection)
            table.create(connection)
        index_names(connection)
        # SQLite copies pages of equal and empty tables, and of their indexes, without reading rows.
        for table in _TABLES:
            connection.exec_driver_sql(
                f"INSERT INTO {old}.{table.name} SELECT * FROM {new}.{table.name}"
            )
    else:
        for table in _TABLES:
            connection.exec_driver_sql(f"DROP TABLE {old}.{table.name}")
            connection.exec_driver_sql(f"ALTER TABLE {new}.{table.name} SET SCHEMA {old}")
        counting.drop_triggers(connection)  # their functions are still of the new schema
    counting.create_triggers(connection)
    added = f"(SELECT value FROM {new}.counters WHERE name = 'sequence')"
    connection.exec_driver_sql(
        f"UPDATE {old}.counters SET value = value + {added} + 1 WHERE name = 'sequence'"
    )
    connection.execute(counters.delete().where(counters.c.name == "rebuild"))
