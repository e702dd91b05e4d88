"""The service: the operations of the product on a store, an index and a reader."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from legibly import object_keys, text_rules
from legibly.errors import Conflict, Invalid, LegiblyError, NotFound, TooLarge, Unavailable
from legibly.images import decode, privacy
from legibly.index.port import Index
from legibly.labels import agreement
from legibly.labels.boxes import checked_boxes
from legibly.labels.rules import LabelRules
from legibly.pipeline import adoption, removal, uploads
from legibly.pipeline.adoption import Adopter
from legibly.pipeline.pairs import store_pairs
from legibly.pipeline.readings import Reader, read_object, reading_record, write_reading
from legibly.pipeline.uploads import NO_DETAILS, UploadDetails
from legibly.records import (
    Batch,
    FailureRecord,
    Image,
    Label,
    LabelBox,
    LabelRecord,
    LabelSource,
    ReadingRecord,
    UploadRecord,
    now,
)
from legibly.statistics import sampling
from legibly.store import Stat, Store, record_files
from legibly.store.record_files import line, read_json
from legibly.telemetry import tracing

LEASE_SECONDS = 30.0
_log = logging.getLogger(__name__)


class Service:
    """The operations of the product on a store, an index and a reader."""

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
        self.max_pixels = max_pixels
        self.adopter = Adopter(store, max_bytes=max_bytes)

    @property
    def label_rules(self) -> LabelRules:
        """The possible labels with the present model."""
        return LabelRules.for_reader(self.reader)

    def receive(
        self, data: bytes, details: UploadDetails = NO_DETAILS, *, request: str | None = None
    ) -> Image:
        """Check and store a new picture; it is pending, and leased to the caller, when this
        returns.

        `request` names this upload: repeated by the same owner, it returns the same image as it is
        now. Raises Invalid (no bytes, an impossible label), TooLarge, NotAnImage, Unusable, and
        Conflict if the name was used for another picture, or the image has been deleted.
        """
        if not data:
            remedy = "Send the bytes of a picture."
            raise Invalid("the picture is empty.", code="empty", remedy=remedy)
        if len(data) > self.max_bytes:
            message = "the picture has {bytes} bytes; {limit} are allowed."
            raise TooLarge(message, bytes=len(data), limit=self.max_bytes)
        details = details.checked()
        self.check_batch(details)
        label_text = self._label_text(details)
        facts = decode.probe(data, max_pixels=self.max_pixels)
        image_id = object_keys.new_id(now())
        if request is not None:
            image_id = uploads.reserve(
                self.store, request, data, owner=details.owner, fresh=image_id
            )
            if self.index.known([image_id]):
                return self._earlier_image(image_id)
        stripped = privacy.strip(data, facts.media_type)
        image = uploads.pending_image(image_id, facts, size=len(stripped), details=details)
        image = replace(image, label=uploads.label_at_upload(label_text, image_id))
        self._store_image(image, stripped, has_name=request is not None)
        return image

    def _earlier_image(self, image_id: str) -> Image:
        try:
            return self.index.get(image_id)
        except NotFound:
            message = "this picture was deleted after it was uploaded."
            remedy = "Upload it again to restore it."
            raise Conflict(message, code="deleted", remedy=remedy) from None

    def _store_image(self, image: Image, data: bytes, *, has_name: bool) -> None:
        # The picture comes last: a sweep that sees it finds everything else in place.
        if image.label:
            self._write_label(image.id, image.label)
        with tracing.span("store", image.id):
            self.store_picture(image, data)
        try:
            self.index.add([image], lease_seconds=LEASE_SECONDS)
        except Unavailable:
            if not has_name:  # another request may have promised the same upload
                self.withdraw([image])
            raise

    def store_picture(self, image: Image, data: bytes) -> None:
        """Write the picture of a new image, after the facts that it does not contain."""
        if image.name or image.writer or image.owner or image.batch:
            names = ("key", "media_type", "bytes", "name", "writer", "owner", "batch")
            facts = {name: getattr(image, name) for name in names}
            record = UploadRecord(image=image.id, **facts)
            self.store.create(object_keys.upload(image.id), line(record.to_json()))
        self.store.create(image.key, data, media_type=image.media_type)

    def withdraw(self, images: Sequence[Image], *, records: Sequence[str] = ()) -> None:
        """Delete uploads that the index refused; their senders must try again."""
        keys = list(records)
        for image in images:
            keys += [image.key, object_keys.upload(image.id)]
            if image.label:
                keys.append(object_keys.label(image.id, image.label.at))
        try:
            self.store.remove(keys)
        except LegiblyError as error:
            _log.warning("%s and others stay, and will be adopted: %s", keys[0], error)

    def read(self, image: Image, data: bytes | None = None) -> ReadingRecord:
        """Read an image and write its reading record; `data` are its bytes, if at hand."""
        with tracing.span("read", image.id):
            return write_reading(self.store, self._record(image, data))

    def _record(self, image: Image, data: bytes | None) -> ReadingRecord:
        if data is None:
            record = read_object(self.store, self.reader, image.key, max_bytes=self.max_bytes)
            return replace(record, image=image.id)
        return reading_record(
            self.reader.read(data), image=image.id, key=image.key, size=image.bytes
        )

    def apply_readings(self, records: Sequence[ReadingRecord]) -> list[Image]:
        """Apply readings to the index, and pair them with earlier labels."""
        with tracing.span("index", *(record.image for record in records)):
            images = self.index.apply_readings(records)
        store_pairs(self.store, self.index, [image for image in images if image.label])
        return images

    def classify(self, image: Image, data: bytes | None = None) -> Image:
        """Read one image and write the reading to the index. Raises NotFound if it is gone."""
        images = self.apply_readings([self.read(image, data)])
        return images[0] if images else self.index.get(image.id)

    def fail(self, image: Image, error: str) -> Image:
        """Record that an image cannot be read, and why."""
        record = FailureRecord(
            image.id, image.key, image.bytes, image.width, image.height, error, now()
        )
        self.store.create(
            object_keys.failure(image.id, self.reader.model.version), line(record.to_json())
        )
        return self.index.fail(record)

    def label(
        self,
        image_id: str,
        text: str | None,
        *,
        nothing: bool = False,
        source: LabelSource | None = None,
        by: str | None = None,
        boxes: Sequence[LabelBox] = (),
    ) -> Image:
        """Label an image with its true text, or correct the label; None retracts it.

        `nothing` means that the image shows no digit; then its text is empty. `boxes` are the
        optional places of the classes of the text. The source is decided here (see `source_of`)
        unless a restored record has one.
        Raises NotFound, Invalid, and Unusable for a text that is not made of the pack's classes
        and for boxes that do not fit it.
        """
        image = self.index.get(image_id)
        if source is None:
            if text is not None or nothing:
                text = self.label_rules.normalize(text or "", nothing=nothing)
            source = self.source_of(image, text)
            boxes = checked_boxes(boxes, text, image, self.label_rules)
        at = now()
        if image.label and image.label.at >= at:
            at = image.label.at + timedelta(milliseconds=1)
        label = Label(text, at, source=source, by=by, boxes=tuple(boxes))
        while not self._write_label(image_id, label):  # each label needs a different time
            label = replace(label, at=label.at + timedelta(milliseconds=1))
        image = self.index.label(image_id, label)
        store_pairs(self.store, self.index, [image])
        return image

    def source_of(self, image: Image, text: str | None = None) -> LabelSource:
        """Whether a label for this image counts as asked for; the caller cannot influence that.

        It does if the image is in the random sample, from its first label on. A text that came with
        the upload stays one, also when it gets boxes.
        """
        if image.label and image.label.source == "at_upload" and image.label.text == text:
            return "at_upload"
        first = image.label is None or image.label.source == "asked"
        return "asked" if first and sampling.asks(image.id, self._ask_rate) else "volunteered"

    def asks(self, image: Image) -> bool:
        """Whether to ask people for the label of this image."""
        is_open = image.state == "read" and (image.label is None or image.label.text is None)
        return is_open and self.source_of(image) == "asked"

    def document(self, image: Image) -> dict[str, Any]:
        """The image as JSON, with `ask`: whether the page asks for its label."""
        return image.to_json() | {"ask": self.asks(image)}

    def document_text(self, image: Image) -> str:
        """The same as text."""
        return image.json_text(ask=self.asks(image))

    def _label_text(self, details: UploadDetails) -> str | None:
        return None if details.label is None else self.label_rules.normalize(details.label)

    def take_back(self, image_id: str, *, by: str) -> Image:
        """Retract a person's label; the previous label counts again. Raises NotFound."""
        others = agreement.standing(self.index.labels([image_id]).get(image_id, ()))
        others.pop(by, None)
        image = self.label(image_id, None, by=by)
        for before in list(others.values())[-1:]:
            image = self.label(
                image_id, before.text, source=before.source, by=before.by, boxes=before.boxes
            )
        return image

    def remove(self, image_ids: Collection[str]) -> None:
        """Delete images and their records; ignores unknown ids."""
        removal.remove_images(self.store, self.index, self.adopter, image_ids)

    def remove_owner(self, owner: str) -> None:
        """Delete every image and batch of an account or a pupil."""
        removal.remove_owner(self.store, self.index, self.adopter, owner)

    def open_batch(self, name: str, *, owner: str | None, batch_id: str | None = None) -> Batch:
        """Open a batch that uploads can name; an existing one with `batch_id` is unchanged.

        Raises Invalid for an unusable name, and Conflict if `batch_id` belongs to another owner.
        """
        text = text_rules.check(name, "name")
        if text is None:
            raise Invalid("a batch needs a name.", code="name-empty")
        batch = Batch(batch_id or object_keys.new_id(now()), text, owner)
        key = object_keys.batch_record(batch.id)
        if not self.store.create(key, line(batch.to_json())):
            batch = Batch.from_json(read_json(self.store, key, "id", "name"))
        if batch.owner != owner:
            raise Conflict("this id belongs to another batch.", code="id-taken")
        self.index.add_batches([batch])
        return batch

    def check_batch(self, details: UploadDetails) -> None:
        """Raises NotFound unless the batch of an upload belongs to its owner or to nobody."""
        owners = (None, details.owner)
        if details.batch and self.index.batch(details.batch).owner not in owners:
            raise NotFound("there is no such batch.", where=details.batch[:80])

    def adopt(self, stats: Sequence[Stat]) -> int:
        """Add pictures that came without an upload; return how many are new.

        Pictures with foreign keys are copied first.
        """
        pictures = {adoption.image_id(stat): stat for stat in stats if uploads.is_picture(stat)}
        unknown = sorted(set(pictures) - self.index.known(pictures))
        own = [image_id for image_id in unknown if object_keys.is_own(pictures[image_id].key)]
        others = [pictures[image_id] for image_id in unknown if image_id not in own]
        images = uploads.uploaded_images(self.store, {name: pictures[name] for name in own})
        with tracing.span("adopt", *unknown):
            adopted = self.adopter.adopt(others)
            count = self._add_adopted([*images, *(image for _, image in adopted)])
        for listed, image in adopted:
            if listed != image.id:  # a known picture, touched or copied: ignore it
                self.index.remove(listed)
        return count

    def _add_adopted(self, images: Sequence[Image]) -> int:
        """Add adopted pictures. A crashed process may have written their readings to one shared
        record file, which reading them again would miss.
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
        """Record the facts of a picture that its sender will put into the store; `adopt` uses them.

        Raises Invalid for an impossible label.
        """
        details = details.checked()
        self.check_batch(details)
        image_id = object_keys.new_id(now())
        # With the time in the id, where `adopt` looks for it.
        label = uploads.label_at_upload(self._label_text(details), image_id)
        key = object_keys.image(image_id, media_type)
        senders = (details.name, details.writer, details.owner, details.batch)
        record = UploadRecord(image_id, key, media_type, size, *senders)
        self.store.create(object_keys.upload(image_id), line(record.to_json()))
        if label is not None:
            self._write_label(image_id, label)
        return record

    def _write_label(self, image_id: str, label: Label) -> bool:
        return self.store.create(
            object_keys.label(image_id, label.at), line(LabelRecord(image_id, label).to_json())
        )
