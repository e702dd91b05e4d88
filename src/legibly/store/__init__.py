"""The object store: `objects` behind obstore, and the record files in it."""

from legibly.store.objects import Stat, Store, folder_of, open_store, packs_folder

__all__ = ["Stat", "Store", "folder_of", "open_store", "packs_folder"]
