"""The index as the service uses it, in as few verbs as possible; importing this does not import
SQL.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from legibly.labels.agreement import Agreement
from legibly.records import (
    Batch,
    FailureRecord,
    Image,
    Label,
    LabelRecord,
    Pair,
    ReadingRecord,
    UploadRecord,
)

if TYPE_CHECKING:
    from legibly.index.record_rows import PictureRow, ReadingRow

Sort = Literal["newest", "oldest", "name", "confidence"]
"""The order of a page of images; `confidence` is least sure first, and of read images alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which images a page wants; None means any. Dates are UTC days such as `2026-11-22`, both
    included.

    `classes` leaves out the pupils' images of every other school class. `review` is whether people
    in review agree, `unsaid_by` a `Label.by` none of whose labels stands. `search` is the text, the
    label, or (from two characters on) a part of the file's name.
    """

    verdict: str | None = None
    text: str | None = None
    label: str | None = None
    writer: str | None = None
    owner: str | None = None
    classes: frozenset[str] | None = None
    state: str | None = None
    wrong: bool = False
    labelled: bool | None = None
    review: Agreement | None = None
    unsaid_by: str | None = None
    since: str | None = None
    until: str | None = None
    batch: str | None = None
    search: str | None = None
    confidence_from: float | None = None
    confidence_to: float | None = None
    sort: Sort = "newest"


class Outline(NamedTuple):
    """An image in short: what decides whether and when somebody looks at it. Times are stamps."""

    id: str
    owner: str | None
    verdict: str | None
    confidence: float | None
    label_at: str | None
    label_by: str | None


@dataclass(frozen=True, slots=True)
class Removal:
    """An image that was deleted."""

    id: str
    owner: str | None


Change = tuple[int, Image | Removal]
"""An image as it is now, or that it is no more, with the sequence number of the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which pairs and readings a report is about; None means any, `classes` as in `Filter`.

    `since` and `until` are UTC days of the label (or of the reading), both included.
    """

    owner: str | None = None
    classes: frozenset[str] | None = None
    writer: str | None = None
    batch: str | None = None
    model: str | None = None
    source: str | None = None
    verdict: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class BatchCount:
    """A batch and how many of its images there are, by what is known of them."""

    batch: Batch
    images: int
    read: int
    unsure: int
    labelled: int
    wrong: int


def cursor_of(image: Image, sort: Sort) -> str:
    """Where the page that ends with an image goes on: its id, before that what it is sorted by."""
    if sort == "name":
        return f"{image.id}:{image.name or ''}"
    if sort == "confidence":
        return f"{image.id}:{image.reading.confidence if image.reading else 0.0!r}"
    return image.id


@dataclass(frozen=True, slots=True)
class Claim:
    """A pending image to work on until its lease ends; `attempt` counts from 1."""

    image: Image
    attempt: int


Slice = Literal["writer", "batch"]


class SliceCount(NamedTuple):
    """How many pairs a writer or a batch has, and how many of them are right."""

    name: str
    pairs: int
    right: int


class PairCount(NamedTuple):
    """Pairs that are alike; `day` is a date such as `2026-11-22`, `millionths` the sum of their
    confidences.
    """

    day: str
    model: str
    source: str
    predicted: str
    actual: str | None
    bin: int
    n: int
    millionths: int


class ReadingCount(NamedTuple):
    """Readings that are alike."""

    day: str
    model: str
    verdict: str
    text: str
    bin: int
    n: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What an accuracy report is made of, in no order."""

    pairs: list[PairCount]
    readings: list[ReadingCount]


class Content(Protocol):
    """Images and pairs by query. Every method may raise Unavailable."""

    def add(self, images: Sequence[Image], *, lease_seconds: float = 0) -> int:
        """Take in images that are not known yet, under their own state; returns how many were new.

        With a lease, no `claim` gives them away before it ends: the caller works on them itself.
        """

    def add_read(
        self, images: Sequence[Image], *, write: Callable[[Collection[str]], None]
    ) -> set[str]:
        """Take in images that were read before the index knew them; returns the ids that were new.

        `write` is called with these ids before anybody can see the images; nothing is taken in
        where it raises.
        """

    def apply_readings(self, records: Sequence[ReadingRecord]) -> list[Image]:
        """Take in readings; returns the images as they are now, those only that are known and not
        deleted.
        """

    def fail(self, image: str, error: str) -> Image:
        """Mark an image as failed. Raises NotFound."""

    def label(self, image: str, label: Label) -> Image:
        """Take in a label; the newest is the image's. Raises NotFound."""

    def add_labels(self, records: Sequence[LabelRecord]) -> None:
        """Take in labels, those of images that are not known being passed over."""

    def labels(self, image_ids: Collection[str]) -> dict[str, list[Label]]:
        """Every label that each of these images was given, oldest first; images without any are
        left out.
        """

    def remove(self, image: str) -> None:
        """Forget an image and its pairs, and never take it in again."""

    def get(self, image: str) -> Image:
        """One image. Raises NotFound."""

    def page(self, criteria: Filter, *, limit: int, after: str | None = None) -> list[Image]:
        """Images in the order of the filter, past the cursor `after`. Raises Invalid."""

    def outlines(self, criteria: Filter, *, limit: int) -> list[Outline]:
        """The first images in the order of the filter, in short: many of them at little cost."""

    def several(self, ids: Collection[str]) -> dict[str, Image]:
        """The images of these ids, in their order; those that are not there are left out."""

    def stamp(self, criteria: Filter) -> tuple[int, int]:
        """What changes whenever an image that matches changes, comes or goes: the newest sequence
        number among them, and their number.
        """

    def claim(self, *, limit: int, lease_seconds: float) -> list[Claim]:
        """Pending images whose lease has ended, oldest first, leased to the caller."""

    def renew(self, ids: Collection[str], *, lease_seconds: float) -> None:
        """Extend the leases of pending images that the caller works on."""

    def defer(self, image: str, *, seconds: float) -> None:
        """End a try that did not succeed: nobody claims the image for so long."""

    def release(self) -> None:
        """End every lease: for the start of the only process there is."""

    def known(self, ids: Collection[str]) -> set[str]:
        """Which of these ids the index knows, deleted ones included."""

    def present(self, ids: Collection[str]) -> set[str]:
        """Which of these ids are images now."""

    def changes(self, after: int, *, limit: int) -> list[Change]:
        """What changed past the sequence number `after`, in order."""

    def close(self) -> None:
        """Let go of the database."""

    def sequence(self) -> int:
        """The newest sequence number, 0 at first."""

    def add_pairs(self, pairs: Sequence[Pair]) -> None:
        """Take in pairs; those already known are passed over."""

    def pairs(self, image_ids: Collection[str] | None = None) -> Iterator[Pair]:
        """Every pair of images that are not deleted, or of these images alone."""

    def add_readings(self, records: Sequence[ReadingRecord]) -> None:
        """Take in readings for `tally` alone; the newest of an image and model stays, deleted
        images have none.
        """

    def add_batches(self, batches: Sequence[Batch]) -> None:
        """Take in batches that are not known yet."""

    def batch(self, batch_id: str) -> Batch:
        """One batch. Raises NotFound."""

    def batches(
        self,
        *,
        owner: str | None = None,
        classes: frozenset[str] | None = None,
        limit: int,
        batch_id: str | None = None,
    ) -> list[BatchCount]:
        """Batches newest first, of everybody or of one owner, `classes` as in `Filter`; or one
        batch alone.
        """

    def remove_batches(self, ids: Collection[str]) -> None:
        """Forget batches; their images stay."""

    def tally(self, edges: Sequence[int], *, selection: Selection | None = None) -> Tally:
        """Count the newest pair and the newest reading of each image and model in a selection.

        `edges` are the lower ends of confidence bins in millionths, the smallest 0; -1 stands for
        no confidence.
        """

    def slices(self, by: Slice, *, selection: Selection, limit: int) -> list[SliceCount]:
        """Count the newest pairs of a selection by writer or batch, those with most pairs first;
        pairs of images that have none are left out.
        """

    def counts(self) -> dict[str, int]:
        """How many images there are by state."""


class Rebuild(Content, Protocol):
    """An index that is being filled from the store."""

    def add_deletions(self, ids: Sequence[str]) -> None:
        """Take in ids that no image may have any more."""

    def add_pictures(self, pictures: "Sequence[PictureRow]") -> None:
        """Add pictures that senders uploaded as pending images."""

    def add_reading_rows(self, rows: "Sequence[ReadingRow]") -> None:
        """Take in readings; the newest of an image is its own."""

    def apply_uploads(self, records: Sequence[UploadRecord]) -> None:
        """Give images what was said when they were uploaded."""

    def apply_failures(self, records: Sequence[FailureRecord]) -> None:
        """Mark images as failed; before any readings."""

    def count_labelled(self) -> int:
        """How many images have or had a label."""


class Index(Content, Protocol):
    """The index in use."""

    def rebuilding(self) -> AbstractContextManager[Rebuild]:
        """An empty index to fill, which takes this one's place when the block ends without error.

        Until then this one stays as it is; what changes in it meanwhile is carried over.
        """
