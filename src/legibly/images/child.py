"""The expendable process that decodes pictures one after another: see `child_pool`."""

import math
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

from legibly import errors
from legibly.images import limits, raster, sniff, wire
from legibly.images.raster import Pixels

CPU_SECONDS = 10


def main(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer jobs until the parent closes the pipe or ends."""
    _limit_memory()
    while True:
        try:
            header, data = wire.receive(jobs)
        except EOFError:
            return
        _limit_cpu()
        wire.send(answers, *_answer(header, data))


def _answer(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    try:
        return _work(header, data)
    except errors.LegiblyError as error:
        return {"error": wire.error_document(error)}, b""
    except MemoryError:
        return {"error": wire.error_document(_memory_error())}, b""


def _memory_error() -> errors.Unusable:
    return errors.Unusable(
        "decoding this picture takes more than {limit} MB of memory.",
        code="too-much-memory",
        limit=limits.memory_bytes // 1_000_000,
        remedy="Send a smaller picture, or save it as JPEG.",
    )


def _work(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    if header["verb"] == "probe":
        facts = raster.probe(data, max_pixels=header["max_pixels"])
        return {"facts": [facts.media_type, facts.width, facts.height]}, b""
    if header["verb"] in ("count", "page"):
        return _page_work(header, data)
    picture = raster.decode(
        data, max_pixels=header["max_pixels"], enough_pixels=header["enough_pixels"]
    )
    answer = {
        "facts": [picture.facts.media_type, picture.facts.width, picture.facts.height],
        "shape": picture.pixels.shape,
        "scale": picture.scale,
    }
    return answer, picture.pixels.tobytes()


def _page_work(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from legibly.images import pdf  # takes 100 ms, needed for documents only

    if header["verb"] == "count":
        return {"count": pdf.count(data)}, b""
    max_pixels = header["max_pixels"]
    if sniff.is_pdf(data):
        pixels: Pixels = pdf.page(data, header["page"], max_pixels=max_pixels)
    else:
        pixels = raster.decode(
            data, max_pixels=max_pixels, enough_pixels=pdf.PAGE_PIXELS, frame=header["page"]
        ).pixels
    return {"shape": pixels.shape}, pixels.tobytes()


def _limit_memory() -> None:
    """Allow `limits.memory_bytes` more address space than the libraries already use."""
    if not Path("/proc/self/statm").exists():
        return  # address space means little if gigabytes of libraries are mapped (macOS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_cpu() -> None:
    """Allow `CPU_SECONDS` from now on."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
