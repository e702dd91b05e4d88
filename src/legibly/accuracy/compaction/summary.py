"""What a compaction did, whichever engine ran it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Pairs and files read and written, old files removed, files left due to malformed lines;
    readings merged into shared files, and removed files of one reading.
    """

    pairs_read: int = 0
    files_read: int = 0
    pairs_written: int = 0
    files_written: int = 0
    files_removed: int = 0
    files_flawed: int = 0
    readings_merged: int = 0
    reading_files_removed: int = 0
