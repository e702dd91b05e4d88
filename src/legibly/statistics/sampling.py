"""Chooses the pictures that the app asks labels for: a fixed random sample, the same everywhere."""

import hashlib


def asks(image: str, rate: float) -> bool:
    """Whether to ask for the label of this image; `rate` is the share of images, 0 … 1.

    A hash of the id decides, which nobody can influence; a lower rate selects a subset.
    """
    draw = int.from_bytes(hashlib.sha256(b"ask:" + image.encode()).digest()[:8], "big")
    return draw < rate * 2**64
