"""Receives files with several pages: each page becomes an image, all pages a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from legibly import object_keys, text_rules
from legibly.errors import Invalid, TooLarge
from legibly.images import pages
from legibly.pipeline import uploads
from legibly.pipeline.service import Service
from legibly.pipeline.uploads import UploadDetails
from legibly.records import Image, now

UNNAMED = "scan"
"""The name of a file without a name."""


@dataclass(frozen=True, slots=True)
class PageImage:
    """The image of one page, and its picture."""

    image: Image
    data: bytes


def receive(
    service: Service,
    data: bytes,
    details: UploadDetails,
    *,
    max_pages: int,
    request: str | None = None,
) -> list[PageImage]:
    """Store each page of a file as an image, called `scan.pdf p. 3`; several pages form a batch
    with the file's name, unless the upload names a batch.

    Nothing is stored before all pages are drawn. `request` is that of `Service.receive`. Raises the
    same errors, and Invalid for a label, which must belong to one page.
    """
    if len(data) > service.max_bytes:
        raise TooLarge(
            "the file has {bytes} bytes; {limit} are allowed.",
            bytes=len(data),
            limit=service.max_bytes,
        )
    service.check_batch(details)
    pictures = list(pages.pages(data, max_pages=max_pages, max_pixels=service.max_pixels))
    _check_label(details, pictures)
    details = replace(details, name=details.name or UNNAMED)
    if len(pictures) > 1 and not details.batch:
        details = replace(details, batch=_batch(service, data, details, request))
    result = []
    for number, picture in enumerate(pictures, start=1):
        name = text_rules.file_name(text_rules.page_name(details.name or UNNAMED, number))
        page_details = replace(details, name=name)
        page_request = request and f"{request} p. {number}"
        image = service.receive(picture, page_details, request=page_request)
        result.append(PageImage(image, picture))
    return result


def _check_label(details: UploadDetails, pictures: Sequence[bytes]) -> None:
    if details.label is not None and len(pictures) > 1:
        raise Invalid(
            "the file has {count} pages, but a label belongs to one page.",
            code="label-of-pages",
            count=len(pictures),
            remedy="Send it without a label, and label its pages.",
        )


def _batch(service: Service, data: bytes, details: UploadDetails, request: str | None) -> str:
    """The id of the pages' batch, the same for a repeated upload."""
    batch_id = object_keys.new_id(now())
    owner = details.owner
    if request is not None:
        name = f"{request} batch"
        batch_id = uploads.reserve(service.store, name, data, owner=owner, fresh=batch_id)
    return service.open_batch(details.name or UNNAMED, owner=owner, batch_id=batch_id).id
