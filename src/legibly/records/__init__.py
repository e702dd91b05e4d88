"""Records that are stored and sent: frozen, to and from JSON."""

from legibly.records.fields import Json, moment, now, stamp
from legibly.records.images import Image, State
from legibly.records.labels import (
    UNANSWERED,
    Label,
    LabelBox,
    LabelRecord,
    LabelSource,
    Pair,
    counted_actual,
)
from legibly.records.readings import (
    Box,
    FailureRecord,
    Item,
    ItemKind,
    Model,
    Reading,
    ReadingRecord,
    TextMode,
    Verdict,
)
from legibly.records.uploads import AdoptionRecord, Batch, UploadRecord

__all__ = [
    "UNANSWERED",
    "AdoptionRecord",
    "Batch",
    "Box",
    "FailureRecord",
    "Image",
    "Item",
    "ItemKind",
    "Json",
    "Label",
    "LabelBox",
    "LabelRecord",
    "LabelSource",
    "Model",
    "Pair",
    "Reading",
    "ReadingRecord",
    "State",
    "TextMode",
    "UploadRecord",
    "Verdict",
    "counted_actual",
    "moment",
    "now",
    "stamp",
]
