"""The work of the service: receive a picture, classify it, label it, delete it.

`read_object` and `write_reading` need only the object store; the Lambda function uses nothing else.
`Service` also keeps an index. Classifying an image repeatedly with the same model version gives the
same record, so that every entry point may retry freely.
"""

from legibly.pipeline.pairs import pair_key, pair_of
from legibly.pipeline.readings import Reader, read_object, reading_record, write_reading
from legibly.pipeline.service import LEASE_SECONDS, Service
from legibly.pipeline.uploads import (
    NO_DETAILS,
    UploadDetails,
    image_of,
    is_picture,
    pending_image,
    reserve,
)

__all__ = [
    "LEASE_SECONDS",
    "NO_DETAILS",
    "Reader",
    "Service",
    "UploadDetails",
    "image_of",
    "is_picture",
    "pair_key",
    "pair_of",
    "pending_image",
    "read_object",
    "reading_record",
    "reserve",
    "write_reading",
]
