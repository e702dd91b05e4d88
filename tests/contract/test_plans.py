"""No page of images reads more rows of them than it shows, however many there are."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from legibly import object_keys
from legibly.index import filters, schema
from legibly.index.port import Filter
from legibly.index.sql import SqlIndex, open_index
from legibly.records import Image, Label, LabelRecord, Model, Reading, ReadingRecord, Verdict
from services import new_database

MANY = 4000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PAGES = [
    Filter(),
    Filter(sort="oldest"),
    Filter(sort="name"),
    Filter(sort="confidence"),
    Filter(verdict="unsure"),
    Filter(verdict="unsure", labelled=False),
    Filter(verdict="unsure", unsaid_by="ann"),
    Filter(text="7"),
    Filter(text="nothing"),
    Filter(text="nothing", verdict="read", state="read"),
    Filter(label="nothing", verdict="read"),
    Filter(label="8"),
    Filter(labelled=True, verdict="read"),
    Filter(wrong=True, verdict="read"),
    Filter(writer="ann", verdict="read"),
    Filter(owner="ann", state="read"),
    Filter(batch="nothing", verdict="read"),
    Filter(review="disputed"),
    Filter(search="7"),
    Filter(search="nothing", verdict="unsure"),
    Filter(search="scan"),
    Filter(search="scan", verdict="read"),
]
"""`nothing` fits no image: nothing must be read until that is sure."""


def entry(number: int) -> Image:
    """A read image; few have a writer, an owner, or an answer in doubt."""
    at = BEGIN + timedelta(seconds=number)
    image_id = object_keys.new_id(at)
    key = object_keys.image(image_id, "image/png")
    blank = Image(image_id, key, at, "image/png", 7, name=f"scan-{number}.png")
    if number % 100 == 0:
        blank = replace(blank, writer="ann", owner="ann", batch=object_keys.new_id(at))
    verdict: Verdict = "unsure" if number % 50 == 0 else "read"
    reading = Reading(verdict, str(number % 10), 0.9, Model("digits", "a" * 12), at)
    return blank.with_reading(ReadingRecord(image_id, key, "image/png", 7, 28, 28, reading))


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgres"))],
)
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlIndex]:
    """An index of some thousand images, labelled now and then."""
    path = tmp_path_factory.mktemp("large") / "index.db"
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{path}" if is_sqlite else new_database(request.getfixturevalue("postgres"))
    index = open_index(url)
    images = [entry(number) for number in range(MANY)]
    with index.rebuilding() as fresh:
        fresh.add_read(images, write=lambda _ids: None)
        label = Label("8", BEGIN, source="volunteered", by="bob")
        fresh.add_labels([LabelRecord(image.id, label) for image in images[::200]])
    yield index
    index.close()


@pytest.mark.parametrize("criteria", PAGES)
def test_a_page_reads_few_rows(large: SqlIndex, criteria: Filter) -> None:
    """A page of 20 takes a fraction of the work of reading all images once."""
    assert work(large, criteria) < MANY / 4


def test_the_measure_notices_a_page_that_reads_everything(large: SqlIndex) -> None:
    """No index has the time of reception."""
    assert work(large, Filter(since="2030-01-01")) > MANY / 4


def work(index: SqlIndex, criteria: Filter) -> int:
    """How much a page of 20 images reads."""
    query = filters.page(sa.select(schema.images), criteria, limit=20)
    measure = sqlite_steps if index.engine.dialect.name == "sqlite" else postgresql_rows
    with index.engine.connect() as connection:
        return measure(connection, query)


def sqlite_steps(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> int:
    """The steps of SQLite's machine in tens: to read a row and refuse it takes four."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    steps: list[None] = []
    driver.set_progress_handler(lambda: steps.append(None), 10)
    connection.execute(query).all()
    driver.set_progress_handler(None, 0)
    return len(steps)


def postgresql_rows(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> int:
    """The rows of `images` that PostgreSQL reads, those that it refuses included."""
    compiled = query.compile(connection, compile_kwargs={"render_postcompile": True})
    explained = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", compiled.params
    )
    return rows_of(explained.scalar_one()[0]["Plan"])


def rows_of(plan: dict[str, Any]) -> int:
    """The rows that the nodes of a plan read from tables."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    is_scan = "Scan" in plan["Node Type"] and plan["Node Type"] != "Subquery Scan"
    own = sum(plan.get(name, 0) for name in names) * plan["Actual Loops"] if is_scan else 0
    return int(own) + sum(map(rows_of, plan.get("Plans", ())))
