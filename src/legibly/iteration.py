"""Cutting and filling up lists: `itertools.batched`, which Python has since 3.12, and its like."""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut values into lists of `size`; the last may be shorter."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def ahead(values: Iterable[T]) -> Iterator[T]:
    """Each value is prepared in a thread while the one before it is used; None ends them."""
    iterator = iter(values)
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(next, iterator, None)
        while (value := upcoming.result()) is not None:
            upcoming = pool.submit(next, iterator, None)
            yield value


def padded(values: Collection[T]) -> list[T]:
    """The values, the last of them repeated until their number is a power of two.

    For the parameters of `IN`: a text of its own for every length would fill the caches of
    statements, which each connection has.
    """
    entries = list(values)
    size = 1 << max(0, len(entries) - 1).bit_length()
    return entries + entries[-1:] * (size - len(entries))
