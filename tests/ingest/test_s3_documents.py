"""The event parser, on documents as their senders write them (`documents/`), and on rubbish."""

import ast
import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import legibly
from legibly import errors, object_keys
from legibly.accuracy import plan
from legibly.ingest import s3_documents
from legibly.ingest.s3_documents import Event
from legibly.people import accounts, classrooms

DOCUMENTS = Path(__file__).parent / "documents"
BUCKET = "legibly-data-1f2e3d"


def read(name: str) -> tuple[s3_documents.Message, ...]:
    return s3_documents.parse((DOCUMENTS / f"{name}.json").read_bytes())


def events(name: str) -> list[Event]:
    return [event for message in read(name) for event in message.events]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3_put", [("created", "images/2026-11-22/019aab00-1111-7abc-8def-0123456789ab.png")]),
        (
            "s3_several",
            [("created", "images/a.png"), ("created", "images/b.png"), ("created", "images/c.png")],
        ),
        ("s3_encoded_key", [("created", "images/Unterlagen 2026/schön + gut%2F(手書き).jpg")]),
        (
            "s3_delete_marker",
            [("removed", "images/2026-11-22/019aab00-1111-7abc-8def-0123456789ab.png")],
        ),
        ("s3_delete", [("removed", "images/a.png")]),
        ("s3_lifecycle", [("removed", "images/old.png")]),
        ("s3_tagging", []),
        ("s3_empty_object", [("created", "images/empty.png")]),
        ("s3_test_event", []),
        ("minio_put", [("created", "images/my scan.png")]),
        ("ceph_put", [("created", "images/scan.png")]),
        ("eventbridge_created", [("created", "images/schön + gut%2F.jpg")]),
        ("eventbridge_deleted", [("removed", "images/a.png")]),
        ("lambda_sqs", [("created", "images/my scan.png")]),
        ("lambda_sqs_sns", [("created", "images/my scan.png")]),
        ("lambda_sqs_eventbridge", [("created", "images/schön + gut%2F.jpg")]),
        ("lambda_sns", [("created", "images/my scan.png")]),
        ("sns_confirmation", []),
        ("sqs_receive_message", [("created", "images/my scan.png")]),
        ("seaweedfs_create", [("created", "images/my scan+ä.png")]),
        ("seaweedfs_delete", [("removed", "images/my scan+ä.png")]),
        ("seaweedfs_folder", []),
    ],
)
def test_every_senders_document_gives_its_events(
    name: str, expected: list[tuple[str, str]]
) -> None:
    """Whoever sent it and whatever wrapped it, kind and decoded key come out, and nothing for the
    rest.
    """
    assert [(event.kind, event.key) for event in events(name)] == expected


def test_an_event_carries_what_tells_duplicates_from_replacements() -> None:
    """Size, etag without quotes, sequencer and time come along; what a deletion does not tell is
    None.
    """
    at = datetime(2026, 11, 22, 9, 41, 7, 312000, tzinfo=UTC)
    assert events("s3_several")[0] == Event(
        bucket=BUCKET,
        key="images/a.png",
        kind="created",
        size=2614,
        etag="d41d8cd98f00b204e9800998ecf8427e",
        sequencer="0065A0B1C2D3E4F501",
        at=at,
    )
    [removed] = events("s3_delete")
    assert (removed.size, removed.etag) == (None, None)
    [empty] = events("s3_empty_object")
    assert empty.size == 0


def test_one_bad_message_harms_no_other() -> None:
    """In a batch, each message that cannot be understood is named with its reason, and the others
    are read.
    """
    messages = read("lambda_sqs_mixed")
    assert [len(message.events) for message in messages] == [1, 0, 0, 0, 0, 2, 1]
    wrong = {message.id[-1]: message.error for message in messages if message.error}
    assert set(wrong) == {"2", "4", "5"}
    assert "not JSON" in str(wrong["2"])
    assert "no S3 event" in str(wrong["4"])
    assert "without bucket or key" in str(wrong["5"])


def test_a_message_tells_how_often_it_was_delivered() -> None:
    """The count and the first delivery come along, and whether it was a dead letter put back."""
    messages = read("lambda_sqs_mixed")
    assert [message.receives for message in messages] == [1, 4, 1, 1, 1, 1, 2]
    assert [message.redriven for message in messages] == [False] * 6 + [True]
    [received] = read("sqs_receive_message")
    assert received.receives == 3
    assert received.handle.startswith("AQEB")
    assert received.since == datetime.fromtimestamp(1795340467.6, UTC)


@pytest.mark.parametrize(
    "rubbish",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '{"a": 1}',
        '{"Records": [7]}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
    ],
)
def test_a_document_that_is_none_is_refused_with_a_reason(rubbish: str) -> None:
    """A malformed document is Invalid, in one line."""
    with pytest.raises(errors.Invalid, match="event document"):
        s3_documents.parse(rubbish)


def test_wrapping_without_end_is_refused() -> None:
    """A notification inside a notification inside … ends in Invalid, not in a deep recursion."""
    document = json.dumps({"Records": []})
    for _ in range(7):
        document = json.dumps({"Type": "Notification", "Message": document})
    with pytest.raises(errors.Invalid, match="too often"):
        s3_documents.parse(document)


WORDS = (
    "Records Messages s3 bucket object key name eventName eventSource body Body ReceiptHandle"
    " attributes messageAttributes Sns Message Type detail source detail-type event_type message"
    " new_entry"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS.split()) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=30,
)


@given(JSON)
def test_no_document_breaks_the_parser(document: object) -> None:
    """Whatever JSON comes, the answer is messages or Invalid."""
    try:
        messages = s3_documents.parse(json.dumps(document))
    except errors.Invalid:
        return
    assert all(event.key and event.bucket for message in messages for event in message.events)


moments = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
versions = st.text("0123456789abcdef", min_size=12, max_size=12)


PREFIXES = st.sampled_from(["", "team/legibly", "images", "images/", "/images/records/"])
NO_KEYS = {
    "new_id",
    "is_id",
    "received_at",
    "milliseconds",
    "own_id",
    "date",
    "image_id",
    "is_own",
    "media_type",
    "holds",
    "mark",
    "marks",
    "last",
    "project_of_record",
    "is_picture",
    "claims_picture",
    "content_digest",
    "adopted_digest",
    "is_deletion_token",
}
"""Functions of `keys` that do not say where something lies."""


@given(moments, versions, PREFIXES)
def test_nothing_that_we_write_can_set_us_off(at: datetime, version: str, prefix: str) -> None:
    """Of all the keys that `keys` makes, only a picture's counts as one, wherever in a bucket the
    store lies.
    """
    image = object_keys.new_id(at)
    root = f"{prefix.strip('/')}/" if prefix else ""
    known = {
        "image": image,
        "images": [image, image],
        "version": version,
        "at": at,
        "name": "images/a",
        "owner": None,
        "batch_id": image,
    }
    known |= {"folder": object_keys.UPLOADS, "media_type": "image/png", "number": 1}
    known |= {"digest": 32 * "a", "ending": "png", "token": 32 * "a", "process": "a.1"}
    makers = inspect.getmembers(
        object_keys,
        lambda thing: inspect.isfunction(thing) and thing.__module__ == object_keys.__name__,
    )
    makers = [
        (name, make) for name, make in makers if not name.startswith("_") and name not in NO_KEYS
    ]
    assert len(makers) >= 10
    for name, make in makers:
        result = make(
            **{parameter: known[parameter] for parameter in inspect.signature(make).parameters}
        )
        summary = s3_documents.picture(root + result, prefix=prefix)
        assert summary == (result if name == "image" else None)


def folders() -> set[str]:
    """Every folder of the store that is spelt out anywhere in the program."""
    matches = set()
    for path in Path(legibly.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = (
                node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            )
            if named := re.match(r"(?:records/[a-z]+|reports|images)/", text):
                matches.add(named[0])
    return matches


@given(st.sampled_from(sorted(folders() - {object_keys.IMAGES})), st.text(max_size=40), PREFIXES)
def test_nothing_in_any_folder_of_ours_can_set_us_off(folder: str, name: str, prefix: str) -> None:
    """Accounts, classes, audit, settled, models, requests, reports …: whatever lies there, under
    whatever name.
    """
    root = f"{prefix.strip('/')}/" if prefix else ""
    assert s3_documents.picture(root + folder + name, prefix=prefix) is None


def test_the_folders_of_the_property_above_are_found() -> None:
    """Those of the accounts, of classes and of what compaction settled among them."""
    known = {
        accounts.FOLDER,
        object_keys.AUDIT,
        classrooms.FOLDER,
        plan.SETTLED,
        object_keys.REQUESTS,
        object_keys.REPORTS,
        object_keys.IMAGES,
    }
    assert folders() >= known


def test_a_record_file_tells_whose_readings_it_holds() -> None:
    """One image's file or a batch's: its name says so, and tells a picture from the one that
    replaced it.
    """
    at = datetime(2026, 11, 22, tzinfo=UTC)
    version = "3f9c2a41b0de"
    first = object_keys.image_id("images/a.png", at)
    replaced = object_keys.image_id("images/a.png", at.replace(second=5))
    batch = object_keys.batch([first, object_keys.new_id(at)], version, at)
    assert object_keys.holds(batch, first, version)
    assert not object_keys.holds(batch, replaced, version)
    assert not object_keys.holds(batch, first, "000000000000")
    assert object_keys.holds(object_keys.reading(first, version), first, version)
    assert len(object_keys.batch([object_keys.new_id(at) for _ in range(40)], version, at)) < 900


@pytest.mark.parametrize(
    "key",
    [
        "images/",
        "images/new folder/",
        "image/a.png",
        "Images/a.png",
        "other/images/a.png",
        "records/x",
    ],
)
def test_folder_markers_and_strangers_are_no_pictures(key: str) -> None:
    """Only objects below `images/` count; a console's folder marker does not."""
    assert s3_documents.picture(key) is None
