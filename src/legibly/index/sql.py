"""The index on SQLite or PostgreSQL, with the same queries."""

from contextlib import AbstractContextManager

from legibly.index import rebuild
from legibly.index.opening import open_tables
from legibly.index.tables import SqlTables


class SqlIndex(SqlTables):
    """Implements `index.port.Index`. Thread-safe; several processes may share one database."""

    def rebuilding(self) -> AbstractContextManager[rebuild.Rebuild]:
        return rebuild.beside(self.engine)


def open_index(
    url: str, *, renew: bool = False, namespace: str | None = None, schema_name: str | None = None
) -> SqlIndex:
    """Open the index at `sqlite:///PATH` or `postgresql://…`: see `opening.open_tables`."""
    return SqlIndex(open_tables(url, renew=renew, namespace=namespace, schema_name=schema_name))
