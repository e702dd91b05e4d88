"""Returns freed memory to the system: glibc's allocator keeps most of it, in an arena per thread.

Source: mallopt(3) and malloc_trim(3) of the Linux manual pages. Does nothing on other systems.
"""

import ctypes
import functools

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") else None


def limit_arenas() -> None:
    """Let all threads of this process, and of its forks, share two arenas; before they start."""
    library = _glibc()
    if library:
        library.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Return all free pages of the heap, in some milliseconds."""
    library = _glibc()
    if library:
        library.malloc_trim(0)
