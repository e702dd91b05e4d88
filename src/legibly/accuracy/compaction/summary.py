"""What a compaction did, whichever engine ran it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Pairs and files read, pairs and files written, old files removed, files left as they are;
    readings that were merged into shared files, and files of one reading that are gone.
    """

    pairs_read: int = 0
    files_read: int = 0
    pairs_written: int = 0
    files_written: int = 0
    files_removed: int = 0
    files_flawed: int = 0
    readings_merged: int = 0
    reading_files_removed: int = 0
