"""Any bytes at all end in a reading or a named error."""

import contextlib
import os

import hypothesis
import pytest
from hypothesis import strategies

import mutants
from fuzz import decoders
from legibly import errors
from legibly.images import decode
from legibly.vision.reading import Reader

CASES = int(os.environ.get("LEGIBLY_FUZZ_CASES", "100"))

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def attempt(reader: Reader, data: bytes) -> None:
    """Read; only the errors that the contract names may come."""
    with contextlib.suppress(errors.NotAnImage, errors.Unusable):
        decode.probe(data, max_pixels=4_000_000)
    with contextlib.suppress(errors.NotAnImage, errors.Unusable):
        assert 0 <= Reader(reader.pack, max_pixels=4_000_000).read(data).reading.confidence <= 1


@hypothesis.settings(max_examples=100)
@hypothesis.given(strategies.binary(max_size=3000))
def test_random_bytes(reader: Reader, data: bytes) -> None:
    """Bytes without any form."""
    attempt(reader, data)


@hypothesis.settings(max_examples=100)
@hypothesis.given(strategies.sampled_from(mutants.HEADS), strategies.binary(max_size=600))
def test_random_bytes_after_a_magic(reader: Reader, head: bytes, data: bytes) -> None:
    """Bytes that begin like a picture."""
    attempt(reader, head + data)


def test_broken_and_hostile_pictures() -> None:
    """Real files with bytes changed, cut out or doubled, and patterns that are meant to cost time;
    `make fuzz` plays more. Processor time is not judged here: other tests share the cores.
    """
    report = decoders.play(seed=0, first=0, count=CASES)
    faults = [fault for fault in report.faults if " MB" not in fault]
    assert not faults
    assert report.most_bytes < decoders.MEMORY_BYTES
