"""One suite for every object store: folder, memory, S3."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from legibly.errors import Invalid, NotFound
from legibly.store import Store, open_store

NAMES = [
    "plain.png",
    "with space.png",
    "plus+and%20percent.png",
    "ünïcödé-数字.png",
    "dots..in..name.png",
    "a/b/c.png",
]


@pytest.fixture(
    params=["file", "memory", pytest.param("s3", marks=pytest.mark.service("seaweedfs"))]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    if request.param == "s3":
        server = request.getfixturevalue("seaweedfs")
        yield open_store(f"s3://{server.bucket}/{uuid4()}", environ=server.environ)
    else:
        yield open_store(
            {"file": f"file://{tmp_path}/objects", "memory": "memory://"}[request.param], environ={}
        )


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back_as_it_went_in(store: Store, name: str) -> None:
    """Spaces, plus signs, percent signs, Unicode and dots in a key change nothing."""
    assert store.create(f"images/{name}", b"ink", media_type="image/png")
    assert store.read(f"images/{name}") == b"ink"
    assert [stat.key for stat in store.list("images/")] == [f"images/{name}"]
    assert store.head(f"images/{name}").size == 3


def test_nothing_is_overwritten(store: Store) -> None:
    """The second writer of a key is told so, and the first one's bytes stay."""
    assert store.create("records/x.json", b"first")
    assert not store.create("records/x.json", b"second")
    assert store.read("records/x.json") == b"first"


def test_of_racing_writers_exactly_one_wins(store: Store) -> None:
    """Eight writers of one key at once: one is told that it wrote, and its bytes are there."""
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.create("records/race", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert store.read("records/race") == b"%d" % won.index(True)


def test_what_is_not_there_is_named(store: Store) -> None:
    """Reading, and asking for, a missing object raises NotFound with its place; removing it is no
    error.
    """
    with pytest.raises(NotFound, match="nowhere"):
        store.read("images/nowhere")
    with pytest.raises(NotFound, match="nowhere"):
        store.head("images/nowhere")
    store.remove(["images/nowhere"])


def test_lists_only_below_the_prefix_and_past_the_offset(store: Store) -> None:
    """A prefix is a folder; `after` leaves out what comes up to it."""
    for key in ("images/a", "images/b", "images/c", "imagesx/d", "records/e"):
        store.create(key, b"x")
    assert sorted(stat.key for stat in store.list("images/")) == [
        "images/a",
        "images/b",
        "images/c",
    ]
    assert sorted(stat.key for stat in store.list("images/", after="images/a")) == [
        "images/b",
        "images/c",
    ]


def test_fetch_gives_facts_and_bytes_of_one_moment(store: Store) -> None:
    """One request brings size, time and bytes."""
    store.create("images/a", b"12345")
    stat, data = store.fetch("images/a")
    assert (stat.size, data, stat.modified_at.tzinfo is not None) == (5, b"12345", True)


def test_replace_and_remove(store: Store) -> None:
    """Reports may be replaced; removed objects are gone."""
    store.replace("reports/a.json", b"1")
    store.replace("reports/a.json", b"2")
    assert store.read("reports/a.json") == b"2"
    store.remove(["reports/a.json"])
    assert list(store.list("reports/")) == []


def test_a_key_that_climbs_out_is_refused(store: Store) -> None:
    """`..` as a part of a key is no key of ours."""
    with pytest.raises(Invalid):
        store.create("images/../../etc/passwd", b"x")


def test_signed_urls_let_anybody_put_and_get(store: Store) -> None:
    """On S3 a signed URL takes a plain HTTP PUT, and a changed one is refused; other stores say
    that they cannot.
    """
    if store.is_local:
        with pytest.raises(Invalid, match="s3://"):
            store.sign("PUT", "images/a.png", seconds=60)
        return
    url = store.sign("PUT", "images/a b+c.png", seconds=60)
    request = urllib.request.Request(url, data=b"ink", method="PUT")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
    assert store.read("images/a b+c.png") == b"ink"
    tampered = urllib.request.Request(url.replace("a%20b", "other"), data=b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(tampered)
    refused.value.close()


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "/plain/path", ""])
def test_other_urls_are_refused_with_what_would_do(url: str) -> None:
    """A store URL of another kind is an error that names the kinds there are."""
    with pytest.raises(Invalid, match="file://FOLDER"):
        open_store(url, environ={})
