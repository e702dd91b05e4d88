"""Opens the models of processes by their settings."""

from dataclasses import replace

from legibly.evaluation.live_model import LiveReader
from legibly.images import child_pool
from legibly.ingest.stored_packs import open_version
from legibly.settings import Settings
from legibly.store import Store
from legibly.vision.reading import Reader


def reader(settings: Settings, *, version: str = "") -> Reader:
    """The reader with the model of the settings: a pack, in this version if there is one, or a
    remote one.
    """
    child_pool.configure(
        children=settings.decoders,
        wall_seconds=settings.decode_seconds,
        memory_bytes=settings.decode_megabytes * 1_000_000,
    )
    pack = open_version(settings.model, settings, version=version)
    return Reader(
        pack, max_pixels=settings.max_pixels, max_pages=settings.max_pages, text=settings.text_mode
    )


def live_reader(settings: Settings, own: Store, *, watches: bool = True) -> LiveReader:
    """The reader of a running process: it follows the changes recorded in its store."""

    def open_reader(setting: str, *, version: str = "") -> Reader:
        return reader(replace(settings, model=setting), version=version)

    return LiveReader(settings.model, store=own, open_reader=open_reader, watches=watches)
