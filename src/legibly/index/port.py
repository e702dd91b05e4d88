"""The interface of the index for the service; importing this does not import
SQL.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
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
"""The order of a page of images; `confidence` is least sure first, and only read images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions on images; None means any. Dates are UTC days such as `2026-11-22`, both included.

    `classes` excludes pupils' images of all other school classes. `review` is whether people in
    review agree, `unsaid_by` a `Label.by` without a current label. `search` is the text, the label,
    or (from two characters on) a part of the file's name.
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
"""An image as it is now, or its removal, with the sequence number of the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The pairs and readings of a report; None means any, `classes` as in `Filter`.

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
    """A batch with the counts of its images by state."""

    batch: Batch
    images: int
    read: int
    unsure: int
    labelled: int
    wrong: int


def cursor_of(image: Image, sort: Sort) -> str:
    """The cursor after a page's last image: its id and its sort key."""
    if sort == "name":
        return f"{image.id}:{image.name or ''}"
    if sort == "confidence":
        return f"{image.id}:{image.reading.confidence if image.reading else 0.0!r}"
    return image.id


@dataclass(frozen=True, slots=True)
class Claim:
    """A pending image leased for work; `attempt` counts from 1."""

    image: Image
    attempt: int


Slice = Literal["writer", "batch"]


class SliceCount(NamedTuple):
    """The number of pairs of a writer or a batch, and how many are right."""

    name: str
    pairs: int
    right: int


class PairCount(NamedTuple):
    """A count of equal pairs; `day` is a date such as `2026-11-22`, `millionths` the sum of their
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
    """A count of equal readings."""

    day: str
    model: str
    verdict: str
    text: str
    bin: int
    n: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts for an accuracy report, in no order."""

    pairs: list[PairCount]
    readings: list[ReadingCount]


class Content(Protocol):
    """Images and pairs by query. Every method may raise Unavailable."""

    def add(self, images: Sequence[Image], *, lease_seconds: float = 0) -> int:
        """Add images that are not known yet; return how many were new.

        With a lease, `claim` does not return them before it ends: the caller works on them itself.
        """

    def add_read(
        self, images: Sequence[Image], *, write: Callable[[Collection[str]], None]
    ) -> set[str]:
        """Add images together with their readings; return the new ids.

        Calls `write` with these ids before the images become visible; if it raises, nothing is
        added.
        """

    def apply_readings(self, records: Sequence[ReadingRecord]) -> list[Image]:
        """Apply readings; return those of the images that are known and not deleted, as they are
        now.
        """

    def fail(self, record: FailureRecord) -> Image:
        """Mark an image as failed. Raises NotFound."""

    def label(self, image: str, label: Label) -> Image:
        """Apply a label; the newest one is the image's. Raises NotFound."""

    def add_labels(self, records: Sequence[LabelRecord]) -> None:
        """Apply labels; ignores those of unknown images."""

    def labels(self, image_ids: Collection[str]) -> dict[str, list[Label]]:
        """All labels of each of these images, oldest first; images without labels are left out."""

    def remove(self, image: str) -> None:
        """Remove an image and its pairs, and never add it again."""

    def get(self, image: str) -> Image:
        """One image. Raises NotFound."""

    def page(self, criteria: Filter, *, limit: int, after: str | None = None) -> list[Image]:
        """Images in the order of the filter, past the cursor `after`. Raises Invalid."""

    def outlines(self, criteria: Filter, *, limit: int) -> list[Outline]:
        """The first images in the order of the filter, in short: many of them at little cost."""

    def several(self, ids: Collection[str]) -> dict[str, Image]:
        """The images of these ids, in their order; those that are not there are left out."""

    def stamp(self, criteria: Filter) -> tuple[int, int]:
        """A value that changes with every change to matching images: their newest sequence number,
        and their count.
        """

    def claim(self, *, limit: int, lease_seconds: float) -> list[Claim]:
        """Pending images whose lease has ended, oldest first, leased to the caller."""

    def renew(self, ids: Collection[str], *, lease_seconds: float) -> None:
        """Extend the leases of pending images that the caller works on."""

    def defer(self, image: str, *, seconds: float) -> None:
        """End a failed attempt: nobody can claim the image for some seconds."""

    def take_turn(self, name: str, *, seconds: float) -> bool:
        """Whether the caller may do a task that the processes share; for `seconds` no other may."""

    def release(self) -> None:
        """End all leases, at the start of the only process."""

    def known(self, ids: Collection[str]) -> set[str]:
        """The ids among these that the index knows, deleted ones included."""

    def present(self, ids: Collection[str]) -> set[str]:
        """The ids among these that are images now."""

    def changes(self, after: int, *, limit: int) -> list[Change]:
        """The changes after the sequence number `after`, in order."""

    def close(self) -> None:
        """Close the database."""

    def sequence(self) -> int:
        """The newest sequence number, 0 at first."""

    def add_pairs(self, pairs: Sequence[Pair]) -> None:
        """Add pairs; ignores known ones."""

    def pairs(self, image_ids: Collection[str] | None = None) -> Iterator[Pair]:
        """All pairs of images that are not deleted, or only those of these images."""

    def add_readings(self, records: Sequence[ReadingRecord]) -> None:
        """Add readings only for `tally`, keeping the newest of an image and model; ignores deleted
        images.
        """

    def add_batches(self, batches: Sequence[Batch]) -> None:
        """Add batches that are not known yet."""

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
        """Batches newest first, of all owners or of one, `classes` as in `Filter`; or a single
        batch.
        """

    def remove_batches(self, ids: Collection[str]) -> None:
        """Remove batches; their images stay."""

    def tally(self, edges: Sequence[int], *, selection: Selection | None = None) -> Tally:
        """Count the newest pair and the newest reading of each image and model in a selection.

        `edges` are the lower ends of confidence bins in millionths, the smallest 0; -1 stands for
        no confidence.
        """

    def slices(self, by: Slice, *, selection: Selection, limit: int) -> list[SliceCount]:
        """Count the newest pairs of a selection by writer or batch, most pairs first; leaves out
        images without one.
        """

    def counts(self) -> dict[str, int]:
        """The number of images by state."""


class Rebuild(Content, Protocol):
    """An index that is being filled from the store."""

    def add_deletions(self, ids: Sequence[str]) -> None:
        """Add ids of deleted images, which no image may use again."""

    def add_pictures(self, pictures: "Sequence[PictureRow]") -> None:
        """Add pictures that senders uploaded as pending images."""

    def add_all_readings(self, batches: "Iterable[Sequence[ReadingRow]]") -> int:
        """Take in the readings, once all images are there, of which the newest of an image is its
        own; returns the number of images that have one.
        """

    def apply_uploads(self, records: Sequence[UploadRecord]) -> None:
        """Add the facts of uploads to their images."""

    def apply_failures(self, records: Sequence[FailureRecord]) -> None:
        """Mark images as failed; before any readings."""

    def count(self) -> int:
        """The number of images."""

    def count_labelled(self) -> int:
        """Count the images that have or had a label."""


class Index(Content, Protocol):
    """The index in use."""

    def rebuilding(self) -> AbstractContextManager[Rebuild]:
        """An empty index to fill, which replaces this one when the block ends without error.

        Until then this one stays in use, and changes to it are carried over.
        """
