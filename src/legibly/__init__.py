"""Legibly: image classification in the cloud whose answers say how far to trust them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legibly.library import Classifier as Classifier
    from legibly.library import load as load
    from legibly.records import Reading as Reading

__version__ = "0.2.0"
_LAZY = {"load": "legibly.library", "Classifier": "legibly.library", "Reading": "legibly.records"}


def __getattr__(name: str) -> Any:
    """Import the library when it is used: the command line starts without it."""
    if name not in _LAZY:
        raise AttributeError(f"module 'legibly' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
