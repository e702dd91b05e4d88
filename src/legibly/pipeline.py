"""What the service does: receive a picture, classify it, label it, remove it.

`read_object` and `write_reading` need the object store alone: they are all that the Lambda function
uses. `Service` keeps an index beside it. Classifying the same image with the same model version
ends in the same record, whoever does it and however often, so that every door may retry as it
likes.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from legibly import adoption, agreement, object_keys, record_files, text_rules
from legibly.adoption import Adopter
from legibly.errors import Conflict, Invalid, LegiblyError, NotFound, TooLarge, Unavailable
from legibly.images import decode, privacy
from legibly.index.port import Filter, Index
from legibly.label_rules import LabelRules
from legibly.record_files import READING_ERRORS, line
from legibly.records import (
    Batch,
    FailureRecord,
    Image,
    Label,
    LabelRecord,
    LabelSource,
    Model,
    Pair,
    ReadingRecord,
    UploadRecord,
    now,
)
from legibly.statistics import sampling
from legibly.store import Stat, Store
from legibly.vision.reading import Result

LEASE_SECONDS = 30.0
_REMOVED_AT_ONCE = 500
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Whatever reads pictures: the vision of this machine or a remote model."""

    @property
    def model(self) -> Model:
        """The model that reads now; it may change between two pictures."""

    def read(self, data: bytes) -> Result:
        """Read one picture. Raises NotAnImage, Unusable and Unavailable."""


def read_object(store: Store, reader: Reader, key: str, *, max_bytes: int) -> ReadingRecord:
    """Fetch and read the picture at `key`; writes nothing. Raises NotFound, TooLarge, NotAnImage,
    Unusable.
    """
    stat = store.head(key)
    if stat.size > max_bytes:
        raise TooLarge(
            "the picture has {bytes} bytes; {limit} are allowed.",
            where=key,
            bytes=stat.size,
            limit=max_bytes,
        )
    stat, data = store.fetch(key)
    return reading_record(
        reader.read(data),
        image=object_keys.image_id(key, stat.modified_at),
        key=key,
        size=stat.size,
    )


def reading_record(result: Result, *, image: str, key: str, size: int) -> ReadingRecord:
    """The record of a picture that was read; `size` is that of its object in bytes."""
    facts = result.facts
    return ReadingRecord(
        image=image,
        key=key,
        media_type=facts.media_type,
        bytes=size,
        width=facts.width,
        height=facts.height,
        reading=result.reading,
    )


def write_reading(store: Store, record: ReadingRecord) -> ReadingRecord:
    """Write a reading once; where this image and model version have one already, that one is
    returned.
    """
    key = object_keys.reading(record.image, record.reading.model.version)
    if store.create(key, line(record.to_json())):
        return record
    return ReadingRecord.from_json(json.loads(store.read(key)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDetails:
    """What the sender of a picture says of it, and who that is; None where nothing is known."""

    name: str | None = None
    writer: str | None = None
    owner: str | None = None
    label: str | None = None
    batch: str | None = None

    def checked(self) -> "UploadDetails":
        """The same with its texts checked. Raises Invalid."""
        return replace(
            self,
            name=text_rules.check(self.name, "name"),
            writer=text_rules.check(self.writer, "writer"),
        )


NO_DETAILS = UploadDetails()


class Service:
    """The verbs of the product over a store, an index and a reader."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        reader: Reader,
        max_bytes: int,
        max_pixels: int,
        ask_rate: float = 0.0,
    ) -> None:
        self.store = store
        self.index = index
        self.reader = reader
        self._ask_rate = ask_rate
        self.max_bytes = max_bytes
        self._max_pixels = max_pixels
        self.adopter = Adopter(store, max_bytes=max_bytes)

    @property
    def label_rules(self) -> LabelRules:
        """What can be a label with the present model."""
        return LabelRules.for_reader(self.reader)

    def receive(
        self, data: bytes, details: UploadDetails = NO_DETAILS, *, request: str | None = None
    ) -> Image:
        """Check and store a new picture; it is pending, and leased to the caller, when this
        returns.

        `request` names this one upload: sent again by the same owner under the same name, the
        picture is the image that it was, as it is now. Raises Invalid (no bytes, a label that
        cannot be one), TooLarge, NotAnImage, Unusable, and Conflict where the name brought another
        picture before, or one that was deleted since.
        """
        if not data:
            raise Invalid(
                "the picture is empty.", code="empty", remedy="Send the bytes of a picture."
            )
        if len(data) > self.max_bytes:
            raise TooLarge(
                "the picture has {bytes} bytes; {limit} are allowed.",
                bytes=len(data),
                limit=self.max_bytes,
            )
        details = details.checked()
        self.check_batch(details)
        label_text = self._label_text(details)
        facts = decode.probe(data, max_pixels=self._max_pixels)
        image_id = object_keys.new_id(now())
        if request is not None:
            image_id = self._id_of(request, data, owner=details.owner, fresh=image_id)
            if self.index.known([image_id]):
                return self._earlier_image(image_id)
        stripped = privacy.strip(data, facts.media_type)
        image = pending_image(image_id, facts, size=len(stripped), details=details)
        image = replace(image, label=_at_upload(label_text, image_id))
        self._store_image(image, stripped)
        return image

    def _id_of(self, request: str, data: bytes, *, owner: str | None, fresh: str) -> str:
        """The id that a named upload has: `fresh`, or the one that it got when it first came.
        Raises Conflict.
        """
        # The digest tells nothing of the picture to whoever does not know the name.
        digest = hashlib.sha256(request.encode() + b"\0" + data).hexdigest()
        key = object_keys.request(request, owner)
        if self.store.create(key, line({"image": fresh, "sha256": digest})):
            return fresh
        before = json.loads(self.store.read(key))
        if before["sha256"] != digest:
            raise Conflict(
                "this name of an upload belongs to another picture.",
                code="idempotency-key-reused",
                remedy="Give each picture its own.",
            )
        return str(before["image"])

    def _earlier_image(self, image_id: str) -> Image:
        try:
            return self.index.get(image_id)
        except NotFound:
            raise Conflict(
                "this picture was deleted after it had come.",
                code="deleted",
                remedy="Send it anew to have it back.",
            ) from None

    def _store_image(self, image: Image, data: bytes) -> None:
        # The picture comes last: a sweep that sees it finds everything else in its place.
        if image.label:
            self._write_label(image.id, image.label)
        self.store_picture(image, data)
        try:
            self.index.add([image], lease_seconds=LEASE_SECONDS)
        except Unavailable:
            self.withdraw([image])
            raise

    def store_picture(self, image: Image, data: bytes) -> None:
        """Write the picture of a new image, after what it does not tell of itself."""
        if image.name or image.writer or image.owner or image.batch:
            record = UploadRecord(
                image.id,
                image.key,
                image.media_type,
                image.bytes,
                image.name,
                image.writer,
                image.owner,
                image.batch,
            )
            self.store.create(object_keys.upload(image.id), line(record.to_json()))
        self.store.create(image.key, data, media_type=image.media_type)

    def withdraw(self, images: Sequence[Image], *, records: Sequence[str] = ()) -> None:
        """Delete uploads that the index did not take: their senders are told to try again."""
        keys = list(records)
        for image in images:
            keys += [image.key, object_keys.upload(image.id)]
            if image.label:
                keys.append(object_keys.label(image.id, image.label.at))
        try:
            self.store.remove(keys)
        except LegiblyError as error:
            _log.warning("%s and its like stay, and will be adopted: %s", keys[0], error)

    def read(self, image: Image, data: bytes | None = None) -> ReadingRecord:
        """Read an image and write its reading record; `data` spares fetching what the caller has at
        hand.
        """
        if data is None:
            record = read_object(self.store, self.reader, image.key, max_bytes=self.max_bytes)
            record = replace(record, image=image.id)
        else:
            record = reading_record(
                self.reader.read(data), image=image.id, key=image.key, size=image.bytes
            )
        return write_reading(self.store, record)

    def apply_readings(self, records: Sequence[ReadingRecord]) -> list[Image]:
        """Take readings into the index, and pair them with labels that came earlier."""
        images = self.index.apply_readings(records)
        self._pair([image for image in images if image.label])
        return images

    def classify(self, image: Image, data: bytes | None = None) -> Image:
        """Read one image and write the reading to the index. Raises NotFound where it was deleted
        meanwhile.
        """
        images = self.apply_readings([self.read(image, data)])
        return images[0] if images else self.index.get(image.id)

    def fail(self, image: Image, error: str) -> Image:
        """Write down that an image cannot be read, and why."""
        record = FailureRecord(
            image.id, image.key, image.bytes, image.width, image.height, error, now()
        )
        self.store.create(
            object_keys.failure(image.id, self.reader.model.version), line(record.to_json())
        )
        return self.index.fail(image.id, error)

    def label(
        self,
        image_id: str,
        text: str | None,
        *,
        nothing: bool = False,
        source: LabelSource | None = None,
        by: str | None = None,
    ) -> Image:
        """Give an image its true text, or take it back with None; again to correct it.

        `nothing` says that the image shows no digit; its text is empty then. The source is
        decided here (see `source_of`) unless a record that is restored brings its own.
        Raises NotFound, Invalid, and Unusable for a text that is not made of the pack's classes.
        """
        image = self.index.get(image_id)
        if source is None:
            source = self.source_of(image)
            if text is not None or nothing:
                text = self.label_rules.normalize(text or "", nothing=nothing)
        at = now()
        if image.label and image.label.at >= at:
            at = image.label.at + timedelta(milliseconds=1)
        label = Label(text, at, source=source, by=by)
        while not self._write_label(image_id, label):  # each label has a moment of its own
            label = replace(label, at=label.at + timedelta(milliseconds=1))
        image = self.index.label(image_id, label)
        self._pair([image])
        return image

    def source_of(self, image: Image) -> LabelSource:
        """Whether a label for this image counts as asked for; the caller has no say in it.

        It does where the image is in the random sample, from its first label on.
        """
        first = image.label is None or image.label.source == "asked"
        return "asked" if first and sampling.asks(image.id, self._ask_rate) else "volunteered"

    def asks(self, image: Image) -> bool:
        """Whether to ask people for the label of this image."""
        is_open = image.state == "read" and (image.label is None or image.label.text is None)
        return is_open and self.source_of(image) == "asked"

    def document(self, image: Image) -> dict[str, Any]:
        """The image as JSON, with `ask`: whether the page asks for its label."""
        return image.to_json() | {"ask": self.asks(image)}

    def _label_text(self, details: UploadDetails) -> str | None:
        return None if details.label is None else self.label_rules.normalize(details.label)

    def take_back(self, image_id: str, *, by: str) -> Image:
        """Take back what one person said of an image; what stood before counts again. Raises
        NotFound.
        """
        others = agreement.standing(self.index.labels([image_id]).get(image_id, ()))
        others.pop(by, None)
        image = self.label(image_id, None, by=by)
        for before in list(others.values())[-1:]:
            image = self.label(image_id, before.text, source=before.source, by=before.by)
        return image

    def remove(self, image_ids: Collection[str]) -> None:
        """Delete images and every record of them; unknown ones are passed over.

        A tombstone stays, so that records in files shared with other images count no more;
        compaction drops those.
        """
        keys: list[str] = []
        pair_keys = [pair_key(pair) for pair in self.index.pairs(image_ids)]
        by_day: dict[str, set[str]] = defaultdict(set)
        for image_id in image_ids:
            try:
                keys += self.adopter.keys_of(self.index.get(image_id))
            except NotFound:
                continue
            self.store.create(object_keys.deletion(image_id), line({"image": image_id}))
            self.index.remove(image_id)
            for folder in (
                object_keys.UPLOADS,
                object_keys.READINGS,
                object_keys.FAILURES,
                object_keys.LABELS,
            ):
                by_day[object_keys.day(folder, image_id)].add(image_id)
        for folder, ids in by_day.items():
            for stat in self.store.list(folder):
                is_alone = stat.key.removeprefix(folder).partition(".")[0] in ids
                if is_alone or record_files.write_others(self.store, stat.key, ids):
                    keys.append(stat.key)
        self.store.remove([*keys, *pair_keys])

    def remove_owner(self, owner: str) -> None:
        """Delete every image and batch of an account or a pupil."""
        while images := self.index.page(Filter(owner=owner), limit=_REMOVED_AT_ONCE):
            self.remove([image.id for image in images])
        while counts := self.index.batches(owner=owner, limit=_REMOVED_AT_ONCE):
            ids = [count.batch.id for count in counts]
            self.store.remove([object_keys.batch_record(batch_id) for batch_id in ids])
            self.index.remove_batches(ids)

    def open_batch(self, name: str, *, owner: str | None, batch_id: str | None = None) -> Batch:
        """Open a batch that uploads can name; an earlier one of `batch_id` stays as it is.

        Raises Invalid for a name that is none, and Conflict for the id of somebody else's batch.
        """
        text = text_rules.check(name, "name")
        if text is None:
            raise Invalid("a batch needs a name.", code="name-empty")
        batch = Batch(batch_id or object_keys.new_id(now()), text, owner)
        key = object_keys.batch_record(batch.id)
        if not self.store.create(key, line(batch.to_json())):
            batch = Batch.from_json(json.loads(self.store.read(key)))
        if batch.owner != owner:
            raise Conflict("this id belongs to another batch.", code="id-taken")
        self.index.add_batches([batch])
        return batch

    def check_batch(self, details: UploadDetails) -> None:
        """Raises NotFound unless the batch of an upload is one of its owner."""
        if details.batch and self.index.batch(details.batch).owner != details.owner:
            raise NotFound("there is no such batch.", where=details.batch[:80])

    def adopt(self, stats: Sequence[Stat]) -> int:
        """Take in pictures that came without an upload; returns how many were new.

        Those with keys of others are copied first, so that each image keeps its own.
        """
        pictures = {adoption.image_id(stat): stat for stat in stats if is_picture(stat)}
        unknown = sorted(set(pictures) - self.index.known(pictures))
        uploads = [image_id for image_id in unknown if object_keys.is_own(pictures[image_id].key)]
        others = [pictures[image_id] for image_id in unknown if image_id not in uploads]
        images = [self._uploaded_image(pictures[image_id], image_id) for image_id in uploads]
        adopted = self.adopter.adopt(others)
        count = self._add_adopted([*images, *(image for _, image in adopted)])
        for listed, image in adopted:
            if listed != image.id:  # an earlier picture, touched or copied: look at it no more
                self.index.remove(listed)
        return count

    def _add_adopted(self, images: Sequence[Image]) -> int:
        """Take in pictures. A process that crashed may have read them and shared one record file
        among them, which reading them again would not meet.
        """
        own = [image.id for image in images if object_keys.is_own(image.key)]
        if not own or not self.store.is_local:
            return self.index.add(images)
        readings = record_files.shared_readings(self.store, own, self.reader.model.version)
        read = {record.image for record in readings}
        added = self.index.add(
            [image for image in images if image.id in read], lease_seconds=LEASE_SECONDS
        )
        self.apply_readings(readings)
        return added + self.index.add([image for image in images if image.id not in read])

    def announce(self, details: UploadDetails, *, media_type: str, size: int) -> UploadRecord:
        """Write down what is said of a picture that its sender puts into the store; `adopt` finds
        it there.

        Raises Invalid for a label that cannot be one.
        """
        details = details.checked()
        self.check_batch(details)
        image_id = object_keys.new_id(now())
        label = _at_upload(
            self._label_text(details), image_id
        )  # at the moment that stands in the id, where `adopt` looks for it
        key = object_keys.image(image_id, media_type)
        senders = (details.name, details.writer, details.owner, details.batch)
        record = UploadRecord(image_id, key, media_type, size, *senders)
        self.store.create(object_keys.upload(image_id), line(record.to_json()))
        if label is not None:
            self._write_label(image_id, label)
        return record

    def _uploaded_image(self, stat: Stat, image_id: str) -> Image:
        upload = self._upload(image_id)
        return replace(
            image_of(stat, upload), label=self._label_at_upload(image_id) if upload else None
        )

    def _label_at_upload(self, image_id: str) -> Label | None:
        try:
            data = self.store.read(object_keys.label(image_id, object_keys.received_at(image_id)))
            return LabelRecord.from_json(json.loads(data)).label
        except NotFound:
            return None
        except READING_ERRORS as error:
            _log.warning("the label of image %s is torn and was skipped: %r", image_id, error)
            return None

    def _upload(self, image_id: str) -> UploadRecord | None:
        try:
            return UploadRecord.from_json(json.loads(self.store.read(object_keys.upload(image_id))))
        except NotFound:
            return None
        except READING_ERRORS as error:
            _log.warning("the facts of upload %s are torn and were skipped: %r", image_id, error)
            return None

    def _write_label(self, image_id: str, label: Label) -> bool:
        return self.store.create(
            object_keys.label(image_id, label.at), line(LabelRecord(image_id, label).to_json())
        )

    def _pair(self, images: Sequence[Image]) -> None:
        pairs = [pair for image in images if (pair := pair_of(image)) is not None]
        for pair in pairs:
            self.store.create(pair_key(pair), line(pair.to_json()))
        if pairs:
            self.index.add_pairs(pairs)


def pending_image(
    image_id: str, facts: decode.Facts, *, size: int, details: UploadDetails
) -> Image:
    """A new image that waits for its reading; `size` is that of the stored picture in bytes."""
    return Image(
        id=image_id,
        key=object_keys.image(image_id, facts.media_type),
        received_at=object_keys.received_at(image_id),
        media_type=facts.media_type,
        bytes=size,
        width=facts.width,
        height=facts.height,
        name=details.name or None,
        writer=details.writer or None,
        owner=details.owner,
        batch=details.batch or None,
    )


def is_picture(stat: Stat) -> bool:
    """Whether an object is a picture to classify, and not the marker of a folder."""
    # A store may hide the stroke at the end of a folder's marker: an empty object without an
    # ending.
    marker = stat.size == 0 and not object_keys.claims_picture(stat.key)
    return object_keys.is_picture(stat.key) and not marker


def image_of(stat: Stat, upload: UploadRecord | None) -> Image:
    """The pending image of an object in the store, with what was said when it was uploaded."""
    image_id = object_keys.image_id(stat.key, stat.modified_at)
    name = None if object_keys.is_own(stat.key) else object_keys.last(stat.key)
    if upload:
        name = upload.name
    return Image(
        id=image_id,
        key=stat.key,
        received_at=object_keys.received_at(image_id),
        media_type=object_keys.media_type(stat.key),
        bytes=stat.size,
        name=text_rules.clean(name),
        writer=text_rules.clean(upload.writer if upload else None),
        owner=upload.owner if upload else None,
        batch=upload.batch if upload else None,
    )


def _at_upload(text: str | None, image_id: str) -> Label | None:
    return (
        None if text is None else Label(text, object_keys.received_at(image_id), source="at_upload")
    )


def pair_of(image: Image) -> Pair | None:
    """The pair of an image's newest label and its reading; None while one of them is missing."""
    if image.label is None or image.reading is None:
        return None
    reading = image.reading
    label = image.label
    return Pair(
        image=image.id,
        predicted=reading.text,
        actual=label.text,
        confidence=reading.confidence,
        model=f"{reading.model.name}@{reading.model.version}",
        writer=image.writer,
        source=label.source,
        labelled_at=label.at,
        verdict=reading.verdict,
    )


def pair_key(pair: Pair) -> str:
    """Where a pair lies."""
    return object_keys.pair(pair.image, pair.labelled_at, pair.model.rpartition("@")[2])
