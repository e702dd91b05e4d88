"""The keys of all objects in the store: the only place that knows the key scheme.

Ids are UUIDv7: they sort by time, and an image's id contains its date. A picture that others put
under `images/` gets an id made from its key and modification time, so that every part of the
program computes the same one.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

IMAGES = "images/"
UPLOADS = "records/uploads/"
REQUESTS = "records/requests/"
READINGS = "records/readings/"
FAILURES = "records/failures/"
LABELS = "records/labels/"
PAIRS = "records/pairs/"
DELETIONS = "records/deletions/"
REPORTS = "reports/"
ACCOUNTS = "records/accounts/"
AUDIT = "records/audit/"
CLASSES = "records/classes/"
MODELS = "records/models/"
SETTLED = "records/settled/"
SETTLED_PAIRS = "records/settled-pairs/"
BATCHES = "records/batches/"
FORMS = "records/forms/"
ADOPTIONS = "records/adoptions/"
ADOPTED = "records/pictures/"
PROJECTS = "projects/"
DELETED = "deleted/"
PUPIL_OWNER = "pupil:"
"""Prefix of the owner of a pupil's images; the id of the class follows."""

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/avif": "avif",
}
MEDIA_TYPES = {extension: media_type for media_type, extension in EXTENSIONS.items()} | {
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# The id of the end of the year 9999: later times have no date here.
_FIRST_UNDATED = "e677ccf9-8000"
_SYSTEM_FILES = {".ds_store", "thumbs.db", "desktop.ini", ".directory"}
_COPY = re.compile(rf"records/pictures/date=[^/]+/{_ID.pattern}\.([0-9a-f]{{32}})\.\w+")
_OWN = re.compile(rf"images/\d{{4}}-\d\d-\d\d/({_ID.pattern})\.[a-z]+")


def _uuid7(milliseconds: int, tail: int) -> str:
    """A UUIDv7 (RFC 9562) of a Unix time and 74 further bits."""
    high = (tail >> 62) & 0xFFF
    low = tail & ((1 << 62) - 1)
    return str(UUID(int=(milliseconds << 80) | (7 << 76) | (high << 64) | (2 << 62) | low))


def _milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970; rounded, since floats of seconds may fall short of them."""
    return round(at.timestamp() * 1000)


def new_id(at: datetime) -> str:
    """A new id that sorts by `at`."""
    return _uuid7(_milliseconds(at), secrets.randbits(74))


def is_id(text: str) -> bool:
    """Whether `text` is an id as from `new_id`, of a time that has a date."""
    return _ID.fullmatch(text) is not None and text < _FIRST_UNDATED


def is_picture(key: str) -> bool:
    """Whether a key may be that of a picture: below `images/`, and no system's own file."""
    name = last(key)
    ignored = not name or name.lower() in _SYSTEM_FILES or name.startswith("._")
    return key.startswith(IMAGES) and not ignored


def milliseconds(image: str) -> int:
    """The time in an id, since 1970."""
    return int(image[:8] + image[9:13], 16)


def received_at(image: str) -> datetime:
    """The time in an id."""
    return datetime.fromtimestamp(milliseconds(image) / 1000, UTC)


def date(image: str) -> str:
    """The UTC date in an id, as `2026-11-22`."""
    return received_at(image).date().isoformat()


def image(image: str, media_type: str) -> str:
    """The key of a received picture."""
    return f"{IMAGES}{date(image)}/{image}.{EXTENSIONS[media_type]}"


def image_id(key: str, modified_at: datetime) -> str:
    """The id of the picture at `key`: its own, or one made from the key and the time of its last
    change.

    The time is in whole seconds, since some callers only know these.
    """
    if own := own_id(key):
        return own
    digest = int.from_bytes(hashlib.sha256(_bytes(key)).digest()[:10], "big")
    seconds = max(0, int(modified_at.timestamp()))  # a clock may be before 1970
    return _uuid7(seconds * 1000, digest & ((1 << 74) - 1))


def own_id(key: str) -> str | None:
    """The id in a key made by `image`; None for other keys."""
    own = _OWN.fullmatch(key)
    return own[1] if own and own[1] < _FIRST_UNDATED else None


def is_own(key: str) -> bool:
    """Whether `key` was made by `image`."""
    return own_id(key) is not None


def _bytes(key: str) -> bytes:
    """A key as bytes, even with lone surrogates from an event."""
    return key.encode("utf-8", "surrogatepass")


def media_type(key: str) -> str:
    """The media type that a key's extension claims, else `application/octet-stream`."""
    return MEDIA_TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")


def claims_picture(key: str) -> bool:
    """Whether a key has the extension of a picture."""
    return key.rpartition(".")[2].lower() in MEDIA_TYPES


def upload(image: str) -> str:
    """The key of an upload's facts."""
    return f"{UPLOADS}date={date(image)}/{image}.json"


def request(name: str, owner: str | None) -> str:
    """The key that links an owner's named upload to its image."""
    return f"{REQUESTS}{hashlib.sha256(f'{owner}:{name}'.encode()).hexdigest()}.json"


def reading(image: str, version: str) -> str:
    """The key of the reading of an image by a model version."""
    return f"{READINGS}date={date(image)}/{image}.{version}.jsonl"


def batch(images: Sequence[str], version: str, at: datetime) -> str:
    """The key of readings of several images of a date that were read together.

    The name sorts by `at` and has marks of the images, so that `holds` need not read the file. At
    most 40 images, since S3 limits keys to 1,024 bytes; 15 in folders, since file names are limited
    to 255 bytes.
    """
    inside = "-".join(sorted(mark(image) for image in images))
    return f"{READINGS}date={date(images[0])}/{new_id(at)}.{version}.{inside}.jsonl"


def holds(key: str, image: str, version: str) -> bool:
    """Whether the record file at `key` has the reading of an image by a model version."""
    name = key.rpartition("/")[2].split(".")
    alone = name[:2] == [image, version]
    together = len(name) == 4 and name[1] == version
    return alone or (together and mark(image) in name[2].split("-"))


def marks(key: str) -> list[str]:
    """The marks of images whose readings share the record file at `key`; none in other files."""
    name = last(key).split(".")
    return name[2].split("-") if len(name) == 4 else []


def mark(image: str) -> str:
    """48 bits of an id's hash, which represent it in file names.

    The end of the id would not distinguish a picture from its replacement.
    """
    return hashlib.sha256(image.encode()).hexdigest()[:12]


def failure(image: str, version: str) -> str:
    """The key of the reason why a model version could not read an image."""
    return f"{FAILURES}date={date(image)}/{image}.{version}.json"


def label(image: str, at: datetime) -> str:
    """The key of an image's label given at a time."""
    return f"{LABELS}date={date(image)}/{image}.{_milliseconds(at):x}.json"


def pair(image: str, at: datetime, version: str) -> str:
    """The key of the pair of a label and a model's reading; `at` is the time of the label."""
    return f"{PAIRS}date={at:%Y-%m-%d}/{image}.{_milliseconds(at):x}.{version}.jsonl"


def day(folder: str, image: str) -> str:
    """The folder of an image's date within `records/uploads/` and similar folders."""
    return f"{folder}date={date(image)}/"


def deletion(image: str) -> str:
    """The key of an image's deletion, so that older records do not restore it."""
    return f"{DELETIONS}date={date(image)}/{image}.json"


def deleted(token: str) -> str:
    """The key of deleted images while the deletion can be undone."""
    return f"{DELETED}{token}.zip"


def is_deletion_token(text: str) -> bool:
    """Whether a token is valid for `deleted`."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def shadow_folder(number: int) -> str:
    """The folder of a shadow's counts, by the number of the change that started it."""
    return f"{REPORTS}shadow/{number:06d}/"


def shadow_counts(number: int, process: str) -> str:
    """The key of a process's counts of a shadow."""
    return f"{shadow_folder(number)}{process}.json"


def content_digest(source: str, data: bytes) -> str:
    """A digest of the content at a foreign key."""
    content = hashlib.sha256(data).digest()
    return hashlib.sha256(_bytes(source) + b"\0" + content).hexdigest()[:32]


def adoption(digest: str) -> str:
    """The key that links a foreign picture to its image; see `content_digest`."""
    return f"{ADOPTIONS}{digest}.json"


def adopted_picture(image: str, digest: str, ending: str) -> str:
    """The key of the copy of a foreign picture."""
    return f"{day(ADOPTED, image)}{image}.{digest}.{ending}"


def adopted_digest(key: str) -> str | None:
    """The digest in the key of a copy; None for other keys."""
    match = _COPY.fullmatch(key)
    return match[1] if match else None


def batch_record(batch_id: str) -> str:
    """The key of a batch's record."""
    return f"{BATCHES}date={date(batch_id)}/{batch_id}.json"


def form_folder(name: str) -> str:
    """The folder of the versions of a form; names may have characters that keys may not."""
    return f"{FORMS}{hashlib.sha256(name.encode()).hexdigest()[:32]}/"


def form_version(name: str, number: int) -> str:
    """The key of a version of a form."""
    return f"{form_folder(name)}{number:06d}.json"


def last(key: str) -> str:
    """The name at the end of a key."""
    return key.rpartition("/")[2]


def project(name: str) -> str:
    """The folder of a project's objects; they have the same keys within it."""
    return f"{PROJECTS}{name}/"


def project_records(name: str) -> str:
    """The folder of the versions of a project's record."""
    return f"{PROJECTS}{name}/project/"


def project_record(name: str, number: int) -> str:
    """The key of a version of a project's record."""
    return f"{project_records(name)}{number:06d}.json"


def project_of_record(key: str) -> str | None:
    """The project whose record is at `key`; None for other objects."""
    match = re.fullmatch(r"projects/([a-z][a-z0-9-]*)/project/\d{6}\.json", key)
    return match[1] if match else None
