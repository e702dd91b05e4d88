"""The scans of a stored form: each field's picture is an image of the project with its reading.

Such an image is in the form's batch, and its name is `SCAN [FIELD]`. So labels, review, exports and
erasure treat values like all other images.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from legibly import object_keys, text_rules
from legibly.errors import Conflict
from legibly.forms.reading import Value
from legibly.forms.stored import StoredForm
from legibly.pipeline import Service, UploadDetails, reading_record, reserve, write_reading
from legibly.records import Image, Json, now

_MAX_NUMBER = 9


@dataclass(frozen=True, slots=True)
class Scan:
    """The fields of one page by name."""

    source: str
    fields: dict[str, Image]


def image_name(source: str, field: str) -> str:
    """The name of a field's image; a long `source` loses its beginning."""
    ending = f" [{field}]"
    return source[len(ending) - text_rules.MAX_TEXT :] + ending


def store(
    service: Service,
    stored: StoredForm,
    source: str,
    values: Sequence[Value],
    *,
    owner: str | None,
    request: str | None,
) -> Scan:
    """Store the values of a page. With the same `request` again nothing is added.

    A source that the form already has gets a number.
    """
    service.open_batch(stored.name, owner=None, batch_id=stored.batch)
    request = request or secrets.token_hex(16)
    source = _unused_source(service, stored, source, request)
    images: dict[str, Image] = {}
    for value in values:
        details = UploadDetails(
            name=image_name(source, value.field), owner=owner, batch=stored.batch
        )
        name = f"{request} {source} {value.field}"
        images[value.field] = service.receive(value.picture, details, request=name)
    return Scan(source, _read(service, values, images))


def _unused_source(service: Service, stored: StoredForm, source: str, request: str) -> str:
    """Claim a source of a form for a request."""
    fresh = object_keys.new_id(now())
    names = [source, *(f"{source} ({number})" for number in range(2, _MAX_NUMBER + 1))]
    for name in names:
        try:
            claim = f"{stored.batch} {name}"
            reserve(service.store, claim, request.encode(), owner=None, fresh=fresh)
            return name
        except Conflict:  # another scan with this name
            continue
    return f"{source} ({fresh[-12:]})"


def _read(service: Service, values: Sequence[Value], images: dict[str, Image]) -> dict[str, Image]:
    """The images with the readings of their values."""
    records = [
        write_reading(
            service.store,
            reading_record(value.result, image=image.id, key=image.key, size=image.bytes),
        )
        for value in values
        if (image := images[value.field]).state == "pending"
    ]
    read = {image.id: image for image in service.apply_readings(records)}
    return {field: read.get(image.id, image) for field, image in images.items()}


def scans(images: Iterable[Image]) -> list[Scan]:
    """The images of a form's batch by page, in the order of their first images."""
    pages: dict[str, dict[str, Image]] = {}
    for image in images:
        source, bracket, field = (image.name or "").removesuffix("]").rpartition(" [")
        if bracket:
            pages.setdefault(source, {}).setdefault(field, image)
    return [Scan(source, fields) for source, fields in pages.items()]


def document(scan: Scan) -> Json:
    """A scan as JSON: the values of its fields, `truth` if a person labelled one."""
    fields = {field: _value(image) for field, image in scan.fields.items()}
    return {"source": scan.source, "fields": fields, "error": None}


def _value(image: Image) -> Json:
    reading = image.reading
    truth = None if image.label is None else image.label.text
    return {
        "text": reading.text if reading else "",
        "verdict": reading.verdict if reading else "unsure",
        "confidence": round(reading.confidence, 6) if reading else 0.0,
        "image": image.id,
        "truth": truth,
    }
