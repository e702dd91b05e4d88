"""The key scheme: ids that sort by time, one id a picture whichever door it came through."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from legibly import object_keys

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001
    lambda at: at.replace(tzinfo=UTC, microsecond=at.microsecond // 1000 * 1000)
)


@given(MOMENTS, MOMENTS)
def test_ids_are_uuid7_and_sort_by_time(first: datetime, second: datetime) -> None:
    """Text order of ids is the order of their moments, to the millisecond, and the moment can be
    read back.
    """
    entry = object_keys.new_id(first)
    two = object_keys.new_id(second)
    assert UUID(entry).version == 7
    assert object_keys.is_id(entry)
    assert object_keys.received_at(entry) == first
    if first != second:
        assert (entry < two) == (first < second)


@given(st.text(min_size=1), MOMENTS)
def test_a_picture_of_others_has_one_id(name: str, at: datetime) -> None:
    """The same key and change give the same id, however exactly the time is told; a later change
    gives another.
    """
    key = f"images/{name}"
    message = object_keys.image_id(key, at)
    assert message == object_keys.image_id(key, at.replace(microsecond=0))
    assert object_keys.is_id(message)
    assert message != object_keys.image_id(key, at + timedelta(seconds=1))


@given(MOMENTS)
def test_our_own_pictures_keep_their_id(at: datetime) -> None:
    """A key that `image` made leads back to its id, whenever the object was changed."""
    image = object_keys.new_id(at)
    key = object_keys.image(image, "image/jpeg")
    assert re.fullmatch(r"images/\d{4}-\d\d-\d\d/[0-9a-f-]{36}\.jpg", key)
    assert object_keys.image_id(key, datetime.now(UTC)) == image
    assert object_keys.is_own(key)


@given(MOMENTS)
def test_each_label_has_a_key_of_its_own(at: datetime) -> None:
    """Labels a millisecond apart never share a key, nor do their pairs."""
    image = object_keys.new_id(at)
    later = at + timedelta(milliseconds=1)
    assert object_keys.label(image, at) != object_keys.label(image, later)
    assert object_keys.pair(image, at, "v") != object_keys.pair(image, later, "v")
