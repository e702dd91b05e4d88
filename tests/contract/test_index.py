"""One suite for every database under the index: SQLite and PostgreSQL."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from legibly import object_keys
from legibly.accuracy import index_report
from legibly.accuracy.engines import reference
from legibly.accuracy.report import encode
from legibly.errors import Invalid, NotFound, Unavailable
from legibly.index import counting
from legibly.index.port import Filter, Removal, Selection, cursor_of
from legibly.index.sql import SqlIndex, open_index
from legibly.records import (
    Batch,
    FailureRecord,
    Image,
    Label,
    LabelBox,
    LabelRecord,
    LabelSource,
    Model,
    Pair,
    Reading,
    ReadingRecord,
    now,
)


def image(**values: object) -> Image:
    """A pending image."""
    at = now()
    image_id = object_keys.new_id(at)
    blank = Image(image_id, object_keys.image(image_id, "image/png"), at, "image/png", 100)
    return replace(blank, **values)  # type: ignore[arg-type]


def reading(
    of: Image, text: str = "7", *, version: str = "a" * 12, seconds: float = 0
) -> ReadingRecord:
    """A reading of an image."""
    statement = Reading(
        "read", text, 0.9, Model("digits", version), now() + timedelta(seconds=seconds)
    )
    return ReadingRecord(of.id, of.key, of.media_type, of.bytes, 28, 28, statement)


def failure(of: Image) -> FailureRecord:
    """Why an image cannot be read."""
    return FailureRecord(of.id, of.key, of.bytes, 28, 28, "torn", now())


def pair(of: Image, *, actual: str | None = "7") -> Pair:
    """A pair of an image."""
    return Pair(of.id, "7", actual, 0.9, "digits@" + "a" * 12, None, "volunteered", now())


def test_an_image_goes_through_its_states(index: SqlIndex) -> None:
    """Added as pending, settled as read, labelled: each step shows, and nothing else changes."""
    entry = image(name="a b.png", writer="Ada")
    assert index.add([entry]) == 1
    assert index.get(entry.id) == entry
    record = reading(entry, "0")
    assert index.apply_readings([record]) == [entry.with_reading(record)]
    label = Label("0", now(), source="asked", by="Bob")
    assert index.label(entry.id, label).label == label
    assert index.get(entry.id) == replace(entry.with_reading(record), label=label)


def test_tables_of_another_version_are_refused_or_made_anew(url: str, index: SqlIndex) -> None:
    """They are never read as if they fitted: an error names the remedy, and what it names gives
    empty tables.
    """
    index.add([image()])
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE counters SET value = 1 WHERE name = 'schema'"))
    engine.dispose()
    with pytest.raises(Invalid, match=r"version 1.*legibly reindex"):
        open_index(url)
    renewed = open_index(url, renew=True)
    assert (renewed.sequence(), renewed.counts()) == (0, {})
    assert renewed.add([image()]) == 1
    renewed.close()


def test_tables_of_an_earlier_version_are_extended(url: str, index: SqlIndex) -> None:
    """Columns and indexes that are new are added, everything in the tables stays and is counted."""
    entry = image()
    index.add([entry])
    index.add_readings([reading(entry)])
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        counting.drop_triggers(connection)
        for statement in (
            "DROP INDEX images_by_batch",
            "ALTER TABLE images DROP COLUMN batch",
            "DROP TABLE batches",
            "DROP TABLE image_counts",
            "DROP TABLE reading_counts",
            "DELETE FROM counters WHERE name = 'counted'",
            "DROP TABLE deletions",
            "CREATE TABLE deletions (image VARCHAR(36) PRIMARY KEY)",
            "UPDATE counters SET value = 3 WHERE name = 'schema'",
        ):
            connection.execute(sa.text(statement))
    for renew in (False, True):
        opened = open_index(url, renew=renew)
        assert opened.get(entry.id) == entry
        assert opened.page(Filter(batch=entry.id), limit=1) == []
        assert opened.counts() == {"pending": 1}
        assert [row.n for row in opened.tally([0]).readings] == [1]
        opened.close()
    with engine.begin() as connection:
        connection.execute(sa.text("DROP INDEX images_by_batch"))  # it is there again
    engine.dispose()


def test_counts_follow_every_change(index: SqlIndex) -> None:
    """Images by state and readings by text, after arrivals, readings few and many, two of one image
    and older ones, failures, deletions and a rebuilt index: as counting the rows gives them.
    """
    entries = [image() for _ in range(70)]
    index.add(entries[:65])
    index.add(entries[:2])
    index.apply_readings([reading(entries[0], "1"), reading(entries[0], "2")])
    index.apply_readings([reading(entry) for entry in entries[:60]])
    index.apply_readings([reading(entries[1], "9", seconds=-3600)])
    complete = [entry.with_reading(reading(entry, "3")) for entry in entries[60:68]]
    index.add_read(complete, write=lambda _ids: None)
    index.fail(failure(entries[62]))
    index.remove(entries[0].id)
    index.remove(entries[69].id)
    assert index.counts() == {"pending": 4, "failed": 1, "read": 62}
    texts = Counter[str]()
    for row in index.tally([0]).readings:
        texts[row.text] += row.n
    assert texts == {"7": 59, "3": 3}
    with index.rebuilding() as fresh:
        fresh.add(entries[:3])
        index.fail(failure(entries[5]))
    assert index.counts() == {"pending": 2, "failed": 1}
    assert [row.n for row in index.tally([0]).readings] == [1]
    index.clear()
    assert (index.counts(), index.tally([0]).readings) == ({}, [])


def test_adding_again_changes_nothing(index: SqlIndex) -> None:
    """The second add of an image is passed over, even once it was read."""
    entry = image()
    index.add([entry])
    index.apply_readings([reading(entry)])
    assert index.add([entry, entry]) == 0
    assert index.get(entry.id).state == "read"


def test_an_older_reading_does_not_replace_a_newer_one(index: SqlIndex) -> None:
    """Records that arrive out of order leave the newest reading in place."""
    entry = image()
    index.add([entry])
    index.apply_readings([reading(entry, "8", seconds=1)])
    assert index.apply_readings([reading(entry, "7")]) == []
    assert index.get(entry.id).reading.text == "8"  # type: ignore[union-attr]


def test_a_renewed_lease_lasts(index: SqlIndex) -> None:
    """Leases of pending images are extended; others do not change."""
    entry = image()
    index.add([entry])
    assert len(index.claim(limit=5, lease_seconds=0)) == 1
    index.renew([entry.id, "gone"], lease_seconds=30)
    assert index.claim(limit=5, lease_seconds=30) == []


def test_an_older_label_does_not_replace_a_newer_one(index: SqlIndex) -> None:
    """Labels that arrive out of order leave the newest in place."""
    entry = image()
    index.add([entry])
    newer = Label("2", now(), boxes=(LabelBox((1, 2, 3, 4), "2"),))
    older = Label("1", now() - timedelta(seconds=5))
    index.label(entry.id, newer)
    assert index.label(entry.id, older).label == newer
    assert index.labels([entry.id])[entry.id] == [older, newer]


def test_every_label_is_kept_and_two_people_agree(index: SqlIndex) -> None:
    """Labels in any order end in the same state; a page finds what others said and somebody did
    not, or took back.
    """
    entry = image(label=Label("4", now(), source="at_upload"))
    two = image()
    index.add([entry, two])
    begin = now()
    statement = [("rita", "7"), ("rob", "1"), ("rob", None), ("rob", "7"), ("rob", None)]
    supplied = [
        Label(text, begin + timedelta(seconds=n), by=f"review:{writer}")
        for n, (writer, text) in enumerate(statement, 1)
    ]
    states = []
    for label in supplied[:4]:
        index.label(entry.id, label)
        states += [
            name
            for name in ("second", "disputed", "agreed")
            if index.page(Filter(review=name), limit=9)
        ]
    assert states == ["second", "disputed", "second", "agreed"]
    index.add_labels(
        [
            LabelRecord(image_id, label)
            for label in reversed(supplied)
            for image_id in (entry.id, two.id, "gone")
        ]
    )
    matches = index.labels([entry.id, two.id, "gone"])
    assert matches == {entry.id: [entry.label, *supplied], two.id: supplied}
    assert index.get(entry.id).label == index.get(two.id).label == supplied[-1]

    def waiting(writer: str) -> int:
        return len(index.page(Filter(review="second", unsaid_by=f"review:{writer}"), limit=9))

    assert (waiting("rita"), waiting("rob"), waiting("tom")) == (0, 2, 2)
    index.remove(entry.id)
    assert list(index.labels([entry.id, two.id])) == [two.id]
    index.clear()
    assert index.labels([two.id]) == {}


def test_deleted_images_stay_away(index: SqlIndex) -> None:
    """A removed image is not found, its pairs are gone, and no late record brings it back."""
    entry = image()
    index.add([entry])
    index.add_pairs([pair(entry)])
    index.remove(entry.id)
    with pytest.raises(NotFound, match=entry.id):
        index.get(entry.id)
    assert index.add([entry]) == 0
    assert index.apply_readings([reading(entry)]) == []
    index.add_pairs([pair(entry)])
    assert list(index.pairs()) == []
    assert index.known([entry.id]) == {entry.id}


def test_followers_see_every_change_once_and_in_order(index: SqlIndex) -> None:
    """Numbers grow with each change; asking past the last one gives what is newer and nothing
    else.
    """
    start = index.sequence()
    first = image()
    second = image()
    index.add([first, second])
    index.apply_readings([reading(first)])
    changed = index.changes(start, limit=10)
    assert [entry.id for _, entry in changed] == [second.id, first.id]
    assert changed[-1][0] == index.sequence()
    assert index.changes(index.sequence(), limit=10) == []


def test_followers_see_deletions_among_the_changes(index: SqlIndex) -> None:
    """A deletion has its place in the order, with the owner whose pages are to hear of it."""
    first = image(owner="Ann")
    second = image()
    index.add([first, second])
    start = index.sequence()
    index.remove(first.id)
    index.apply_readings([reading(second)])
    index.remove(object_keys.new_id(now()))
    index.remove(first.id)
    changes = [change for _, change in index.changes(start, limit=10)]
    assert changes[0] == Removal(first.id, "Ann")
    assert [change.id for change in changes[1:]][:1] == [second.id]
    assert len(changes) == 3
    assert [change for _, change in index.changes(start, limit=1)] == changes[:1]


def test_a_follower_misses_nothing_while_many_write(index: SqlIndex) -> None:
    """With eight writers at once, following by the last number seen still meets every image."""
    images = [image() for _ in range(80)]
    known: set[str] = set()
    last = index.sequence()
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(index.add, [entry]) for entry in images]
        while len(known) < len(images):
            changes = index.changes(last, limit=7)
            known |= {entry.id for _, entry in changes}
            last = changes[-1][0] if changes else last
            if all(future.done() for future in writing) and not index.changes(last, limit=1):
                break
    assert known == {entry.id for entry in images}


def read_image() -> Image:
    """An image that was read before the index knew it."""
    pending = image()
    return pending.with_reading(reading(pending))


def test_images_come_in_read_with_their_records_or_not_at_all(index: SqlIndex) -> None:
    """Known and deleted ones are left out; a record that cannot be written leaves nothing."""
    several = [read_image() for _ in range(3)]
    index.add([replace(several[0], state="pending", reading=None)])
    index.remove(several[1].id)
    written: list[str] = []
    assert index.add_read(several, write=written.extend) == {several[2].id}
    assert written == [several[2].id]
    assert index.get(several[0].id).state == "pending"
    assert index.get(several[2].id) == several[2]
    changed = [entry for _, entry in index.changes(0, limit=10) if isinstance(entry, Image)]
    assert [entry.id for entry in changed] == [several[0].id, several[2].id]

    def fail(_ids: object) -> None:
        raise Unavailable("the disk is full.")

    with pytest.raises(Unavailable):
        index.add_read([failed := read_image()], write=fail)
    with pytest.raises(NotFound):
        index.get(failed.id)


def test_of_racing_writers_one_gets_each_read_image(index: SqlIndex) -> None:
    """A record is written once, whoever brings the image."""
    several = [read_image() for _ in range(20)]
    written: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(index.add_read, several, write=written.extend)
    assert Counter(written) == Counter(entry.id for entry in several)


def test_a_lease_keeps_others_off_until_it_ends(index: SqlIndex) -> None:
    """Claimed images are given to nobody else; deferred and released ones are given again, with the
    try counted.
    """
    entry = image()
    index.add([entry])
    assert [claim.attempt for claim in index.claim(limit=5, lease_seconds=60)] == [1]
    assert index.claim(limit=5, lease_seconds=60) == []
    index.defer(entry.id, seconds=60)
    assert index.claim(limit=5, lease_seconds=60) == []
    index.release()
    assert [claim.attempt for claim in index.claim(limit=5, lease_seconds=60)] == [2]


def test_of_racing_claimers_one_gets_each_image(index: SqlIndex) -> None:
    """Several processes that claim at once never work on the same image."""
    index.add([image() for _ in range(20)])
    with ThreadPoolExecutor(4) as pool:
        claims = [
            claim
            for part in pool.map(lambda _: index.claim(limit=20, lease_seconds=60), range(4))
            for claim in part
        ]
    assert len({claim.image.id for claim in claims}) == len(claims) == 20


def test_one_process_at_a_time_has_the_turn(index: SqlIndex) -> None:
    """Of racing processes one gets it; the next one gets it when its time is over, or at once if
    that time is longer than its own.
    """
    with ThreadPoolExecutor(4) as pool:
        turns = list(pool.map(lambda _: index.take_turn("sweep", seconds=60), range(4)))
    assert sorted(turns) == [False, False, False, True]
    assert index.take_turn("other", seconds=0.001)
    time.sleep(0.002)
    assert index.take_turn("other", seconds=0.001)
    assert index.take_turn("sweep", seconds=1)


def test_an_upload_is_leased_to_its_receiver(index: SqlIndex) -> None:
    """An image added with a lease is claimed by nobody, and its first try counts."""
    index.add([image()], lease_seconds=60)
    assert index.claim(limit=5, lease_seconds=60) == []
    index.release()
    assert [claim.attempt for claim in index.claim(limit=5, lease_seconds=60)] == [2]


def test_pages_run_newest_first_without_gaps(index: SqlIndex) -> None:
    """Cursor by cursor, every image appears once, newest first."""
    ids = []
    for second in range(7):
        at = now() + timedelta(seconds=second)
        ids.append(object_keys.new_id(at))
        index.add([image(id=ids[-1], received_at=at)])
    collected: list[str] = []
    while page := index.page(Filter(), limit=3, after=collected[-1] if collected else None):
        collected += [entry.id for entry in page]
    assert collected == ids[::-1]


def test_filters_pick_what_they_say(index: SqlIndex) -> None:
    """Verdict, text, label, writer, wrongness and day each narrow a page; a text of 0 is a text."""
    zero = image(writer="Ada")
    seven = image()
    pending = image()
    index.add([zero, seven, pending])
    index.apply_readings([reading(zero, "0"), reading(seven, "7")])
    index.label(seven.id, Label("1", now()))
    today = f"{now():%Y-%m-%d}"

    def ids(**expected: object) -> set[str]:
        return {entry.id for entry in index.page(Filter(**expected), limit=10)}  # type: ignore[arg-type]

    assert ids(text="0") == ids(writer="Ada") == {zero.id}
    assert ids(wrong=True) == ids(label="1") == ids(labelled=True) == {seven.id}
    assert ids(verdict="read") == {zero.id, seven.id}
    assert ids(state="pending") == {pending.id}
    assert ids(since=today, until=today) == {zero.id, seven.id, pending.id}
    assert ids(until="2001-01-01") == set()


def test_pairs_count_once(index: SqlIndex) -> None:
    """The same pair twice is one; a label that was taken back keeps its pair with no actual
    text.
    """
    entry = image()
    index.add([entry])
    message = pair(entry)
    back = replace(pair(entry, actual=None), labelled_at=now() + timedelta(seconds=1))
    index.add_pairs([message, message, back])
    index.add_pairs([message])
    assert list(index.pairs()) == [message, back]
    assert list(index.pairs([entry.id])) == [message, back]
    assert list(index.pairs(["other"])) == []


def test_what_it_counts_is_the_reference_s_report(index: SqlIndex) -> None:
    """Relabelled, taken back, read twice, by several models, deleted: the bytes of plain Python
    over the records.
    """
    draw = random.Random(7)
    ids = [object_keys.new_id(now()) for _ in range(60)]
    pairs = []
    read = {}
    for number in range(400):
        at = now() + timedelta(hours=number)
        model = Model("digits", draw.choice("ab") * 12)
        text = draw.choice(["7", "1", "12/3", ""])
        statement = Reading(
            draw.choice(["read", "unsure"]), text, draw.choice([0, 1, draw.random()]), model, at
        )
        of = replace(image(), id=draw.choice(ids))
        record = replace(reading(of), reading=statement)
        index.apply_readings([record]) if number % 2 else index.add_readings([record, record])
        read[of.id, model] = statement
        actual = draw.choice(["7", "1", "12", None])
        source: LabelSource = "asked" if draw.random() < 0.5 else "volunteered"
        pairs.append(Pair(of.id, text, actual, statement.confidence, str(model), None, source, at))
    index.add([image(id=ids[0], owner="Ada")])
    index.add_pairs(pairs)
    index.remove(ids[1])
    index.apply_readings([replace(reading(image(id=ids[1])), image=ids[1])])

    def expected(chosen: set[str]) -> bytes:
        reads = Counter(
            reference.read_of(statement)
            for (image_id, _), statement in read.items()
            if image_id in chosen
        )
        remaining = [entry for entry in pairs if entry.image in chosen]
        return encode(
            reference.report(remaining, reads=[entry._replace(n=n) for entry, n in reads.items()])
        )

    assert encode(index_report.report(index)) == expected(set(ids) - {ids[1]})
    assert encode(index_report.report(index, selection=Selection(owner="Ada"))) == expected(
        {ids[0]}
    )
    assert encode(index_report.report(index, selection=Selection(owner="Eve"))) == expected(set())


def test_what_it_knows_survives_reopening(tmp_path: Path) -> None:
    """A second index over the same file has everything of the first."""
    url = f"sqlite:///{tmp_path}/deep/folder/index.db"
    first = open_index(url)
    entry = image()
    first.add([entry])
    first.close()
    second = open_index(url)
    assert second.get(entry.id) == entry
    second.close()


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("mysql://host/x", Invalid, "postgresql://"),
        ("no url at all", Invalid, "sqlite:///PATH"),
        ("postgresql://user:s3cret@127.0.0.1:1/x", Unavailable, "does not answer"),
    ],
)
def test_what_cannot_be_opened_is_told_without_secrets(
    url: str, error: type[Exception], message: str
) -> None:
    """Other URLs and dead servers are named errors, and no password stands in them."""
    with pytest.raises(error, match=message) as raised:
        open_index(url)
    assert "s3cret" not in str(raised.value)


def ordered_ids(index: SqlIndex, criteria: Filter) -> list[str]:
    """Every id that matches, page by page of two."""
    ids: list[str] = []
    after = None
    while page := index.page(criteria, limit=2, after=after):
        ids += [entry.id for entry in page]
        after = cursor_of(page[-1], criteria.sort)
    return ids


def test_pages_in_every_order_hold_each_image_once(index: SqlIndex) -> None:
    """By time, name and confidence, page by page, images without a name and equal ones too; by
    confidence only images that were read.
    """
    names = ["b.png", None, "a_1.png", "b.png", "c.png"]
    entries = [image(name=name) for name in names]
    index.add(entries)
    shares = {0: 0.9, 2: 0.5, 3: 0.9}
    for at, share in shares.items():
        record = reading(entries[at])
        statement = replace(record.reading, confidence=share)
        index.apply_readings([replace(record, reading=statement)])
    ids = [entry.id for entry in entries]
    by_time = sorted(ids)
    assert ordered_ids(index, Filter()) == by_time[::-1]
    assert ordered_ids(index, Filter(sort="oldest")) == by_time
    by_name = sorted(range(5), key=lambda at: (names[at] or "", ids[at]))
    assert ordered_ids(index, Filter(sort="name")) == [ids[at] for at in by_name]
    by_confidence = sorted(shares, key=lambda at: (shares[at], ids[at]))
    assert ordered_ids(index, Filter(sort="confidence")) == [ids[at] for at in by_confidence]
    sure = Filter(confidence_from=0.6, confidence_to=1.0)
    assert set(ordered_ids(index, sure)) == {ids[0], ids[3]}
    with pytest.raises(Invalid, match="cursor"):
        index.page(Filter(sort="confidence"), limit=2, after="nonsense")


def test_a_search_finds_parts_of_names_and_complete_answers(index: SqlIndex) -> None:
    """`0131` finds 0131.png in any case of letters, `7` the answer 7 and not every name with a 7,
    and a per cent sign or underscore is itself.
    """
    entries = [image(name=name) for name in ("IMG_0131.PNG", "7.png", "100%.png", "IMGx0131.png")]
    index.add(entries)
    index.apply_readings([reading(entries[2], "7")])

    def names(text: str) -> set[str | None]:
        return {entry.name for entry in index.page(Filter(search=text), limit=9)}

    assert names("0131.png") == {"IMG_0131.PNG", "IMGx0131.png"}
    assert names("img_0") == {"IMG_0131.PNG"}
    assert names("0%") == {"100%.png"}
    assert names("7") == {"100%.png"}


def test_a_batch_keeps_its_name_and_counts_its_images(index: SqlIndex) -> None:
    """Batches come newest first, of one owner where that is wished, with counts by what is known of
    their images; a batch without images has zeros.
    """
    begin = now()
    first = Batch(object_keys.new_id(begin), "a", "Ada")
    second = Batch(object_keys.new_id(begin + timedelta(seconds=1)), "b", None)
    index.add_batches([first, second])
    index.add_batches([first])
    entries = [image(batch=first.id) for _ in range(3)]
    index.add([*entries, image()])
    index.apply_readings([reading(entry) for entry in entries[:2]])
    index.label(entries[0].id, Label("1", now()))
    counts = index.batches(limit=9)
    assert [count.batch for count in counts] == [second, first]
    assert (counts[0].images, counts[0].read, counts[0].wrong) == (0, 0, 0)
    row = counts[1]
    assert (row.images, row.read, row.unsure, row.labelled, row.wrong) == (3, 2, 0, 1, 1)
    assert [count.batch for count in index.batches(owner="Ada", limit=9)] == [first]
    assert {entry.id for entry in index.page(Filter(batch=first.id), limit=9)} == {
        entry.id for entry in entries
    }
    index.remove_batches([first.id])
    with pytest.raises(NotFound):
        index.batch(first.id)


def test_a_report_of_a_selection_counts_its_pairs_alone(index: SqlIndex) -> None:
    """By batch, writer, model, source, verdict and day; the newest label decides of which source an
    image is.
    """
    entries = [image(batch="b1" if at else None, writer=f"w{at}") for at in range(3)]
    index.add(entries)
    index.apply_readings([reading(entry) for entry in entries])
    index.add_pairs([pair(entry) for entry in entries])
    day = f"{now():%Y-%m-%d}"
    selections = {
        Selection(): 3,
        Selection(batch="b1"): 2,
        Selection(writer="w1"): 1,
        Selection(model="digits@" + "a" * 12): 3,
        Selection(model="other@1"): 0,
        Selection(source="volunteered", verdict="read"): 3,
        Selection(source="asked"): 0,
        Selection(verdict="unsure"): 0,
        Selection(since=day, until=day): 3,
        Selection(until="2020-01-01"): 0,
    }
    for selection, number in selections.items():
        assert index_report.report(index, selection=selection)["pairs"] == number, selection


def test_an_index_is_rebuilt_beside_and_swapped(index: SqlIndex) -> None:
    """Twice: the new one takes the place, with what changed in the old one meanwhile."""
    stale = image()
    index.add([stale])
    for _ in range(2):
        rows_left = image()
        changed = image()
        sequence = index.sequence()
        with index.rebuilding() as fresh:
            fresh.add([rows_left])
            index.add([changed])
            index.label(changed.id, Label("7", now(), source="volunteered"))
            assert stale.id in {entry.id for entry in index.page(Filter(), limit=9)}
        entries = index.page(Filter(), limit=9)
        assert {entry.id for entry in entries} == {rows_left.id, changed.id}
        assert index.sequence() > sequence
        assert index.get(changed.id).label is not None
        index.add([stale])


def test_slices_count_the_newest_pair_of_each_image(index: SqlIndex) -> None:
    """By writer and by batch, the most pairs first; what has no writer, no label any more, or is
    outside of the selection is left out.
    """
    several = [image(writer=writer, batch="b" * 36) for writer in ("ann", "ann", "bob", None)]
    index.add(several)
    for entry, actual in zip(several, ("7", "1", "7", "7"), strict=True):
        index.add_pairs([pair_of(entry, actual, seconds=0)])
    index.add_pairs([pair_of(several[1], "7", seconds=1)])
    everything = Selection()
    by_writer = [("ann", 2, 2), ("bob", 1, 1)]
    assert index.slices("writer", selection=everything, limit=9) == by_writer
    assert index.slices("writer", selection=everything, limit=1) == by_writer[:1]
    assert index.slices("batch", selection=everything, limit=9) == [("b" * 36, 4, 4)]
    index.add_pairs([pair_of(several[0], "1", seconds=2), pair_of(several[2], None, seconds=2)])
    assert index.slices("writer", selection=everything, limit=9) == [("ann", 2, 1)]
    assert index.slices("writer", selection=Selection(writer="cid"), limit=9) == []


def pair_of(entry: Image, actual: str | None, *, seconds: float) -> Pair:
    """An answer of 7 to an image, and its true text."""
    return Pair(
        image=entry.id,
        predicted="7",
        actual=actual,
        confidence=0.9,
        model="digits@" + "a" * 12,
        writer=entry.writer,
        source="asked",
        labelled_at=now() + timedelta(seconds=seconds),
    )
