"""Adds labels and deletions that are in the store but not in the index: from other servers, or
after a restore.
"""

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from legibly import object_keys
from legibly.errors import NotFound
from legibly.iteration import batched
from legibly.pipeline import Service
from legibly.pipeline.pairs import store_pairs
from legibly.records import LabelRecord
from legibly.store import Stat
from legibly.store.record_files import READING_ERRORS

_BATCH = 500
_OVERLAP = timedelta(seconds=10)
"""If two servers write at the same time, the later record may be listed first."""
_MAX_EARLY = 10_000
_log = logging.getLogger(__name__)


class RecordFollower:
    """Applies these records to the index: all at first, then new ones."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._since: dict[str, datetime] = {}
        self._early: dict[str, Stat] = {}  # labels of unknown images, by key

    def follow(self) -> int:
        """Apply new records; return the number of new labels and deletions. Raises Unavailable."""
        removed = sum(map(self._remove, batched(self._fresh(object_keys.DELETIONS), _BATCH)))
        early = list(self._early.values())
        stats = (stat for source in (early, self._fresh(object_keys.LABELS)) for stat in source)
        return removed + sum(map(self._label, batched(stats, _BATCH)))

    def _fresh(self, folder: str) -> Iterator[Stat]:
        """The records written since the last complete look."""
        since = self._since.get(folder)
        latest = since
        for stat in self._service.store.list(folder):
            if since is None or stat.modified_at >= since - _OVERLAP:
                latest = max(latest or stat.modified_at, stat.modified_at)
                yield stat
        if latest is not None:
            self._since[folder] = latest

    def _remove(self, stats: list[Stat]) -> int:
        index = self._service.index
        present = index.present([_image_id(stat) for stat in stats])
        for image in sorted(present):
            index.remove(image)
        return len(present)

    def _label(self, stats: list[Stat]) -> int:
        index = self._service.index
        present = index.present([_image_id(stat) for stat in stats])
        labels = index.labels(present)
        known = {object_keys.label(image, label.at) for image in labels for label in labels[image]}
        records = []
        for stat in stats:
            if _image_id(stat) not in present:
                if len(self._early) < _MAX_EARLY:
                    self._early[stat.key] = stat
                continue
            self._early.pop(stat.key, None)
            if stat.key not in known and (record := self._read(stat.key)) is not None:
                records.append(record)
        if records:
            index.add_labels(records)
            images = [index.get(image) for image in {entry.image for entry in records}]
            store_pairs(self._service.store, index, images)
        return len(records)

    def _read(self, key: str) -> LabelRecord | None:
        try:
            return LabelRecord.from_json(json.loads(self._service.store.read(key)))
        except NotFound:  # deleted since it was listed
            return None
        except READING_ERRORS as error:
            _log.warning("%s is torn and was skipped: %r", key, error)
            return None


def _image_id(stat: Stat) -> str:
    return object_keys.last(stat.key).partition(".")[0]
