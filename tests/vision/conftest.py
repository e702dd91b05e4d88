"""What the tests of seeing share."""

import pytest

from legibly.packs import pack, registry
from legibly.vision.reading import Reader


@pytest.fixture(scope="session")
def reader() -> Reader:
    """A reader with the shipped pack."""
    return Reader(pack.open_pack(registry.find("digits")))
