"""Reads labelled pictures: a folder with `labels.csv`, a pair of idx files, or class folders."""

import codecs
import csv
import gzip
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly import errors, object_keys
from legibly.images import sniff

Pixels = NDArray[np.uint8]
_HEAD_BYTES = 4096
EXTENSIONS = {f".{extension}" for extension in object_keys.MEDIA_TYPES} | {
    *(".jfif", ".jpe", ".mpo", ".hif", ".apng")
}
"""Suffixes of picture files in lower case; other files are recognised by their content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture: name, true text (empty: no digit), and a function for its bytes."""

    name: str
    text: str
    load: Callable[[], bytes]
    kind: str = ""
    source: str = ""
    writer: str = ""


def samples(path: Path) -> list[Sample]:
    """The samples of a dataset, in order. Raises NotFound and Invalid."""
    if not path.exists():
        raise errors.NotFound("there is no such dataset.", where=str(path))
    if path.is_file():
        return _from_idx(path) if "idx3" in path.name else _from_table(path)
    if (path / "labels.csv").is_file():
        return _from_table(path / "labels.csv")
    folders = sorted(
        folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith(".")
    )
    listed = [
        Sample(f"{folder.name}/{file.name}", folder.name, file.read_bytes, source=folder.name)
        for folder in folders
        for file in pictures(folder)
    ]
    if not listed:
        remedy = (
            "Give a folder with labels.csv (file,label,…) or class folders, or an"
            " …-images-idx3-ubyte file."
        )
        raise errors.Invalid("this is not a dataset.", where=str(path), remedy=remedy)
    return listed


def pictures(folder: Path) -> Iterator[Path]:
    """The picture files under a folder, sorted by path, hidden ones left out."""
    yield from (file for file, is_picture in files_of(folder) if is_picture)


def files_of(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The files under a folder, sorted by path, without hidden ones, and whether each is a picture.

    Decided by the suffix, or else by the first bytes.
    """
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if not hidden and file.is_file():
            yield file, file.suffix.lower() in EXTENSIONS or _looks_like_picture(file)


def _looks_like_picture(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            sniff.media_type(opened.read(_HEAD_BYTES))
    except (OSError, errors.NotAnImage):
        return False
    return True


def crops(path: Path, *, side: tuple[int, int]) -> tuple[Pixels, list[str]]:
    """A dataset of crops (N, H, W) uint8, ink bright, with their labels; `side` is (H, W).

    Raises Invalid if a picture has another size.
    """
    if path.is_file() and "idx3" in path.name:
        images, labels = _idx_pair(path)
        names = [str(label) for label in labels]
    else:
        listed = samples(path)
        images = np.stack([_grey(sample, side) for sample in listed])
        names = [sample.text for sample in listed]
    _check_side(images.shape[1:], side, where=str(path))
    return images, names


def _check_side(shape: tuple[int, ...], side: tuple[int, int], *, where: str) -> None:
    if shape != side:
        remedy = "Leave --crops out: pictures of other sizes go the whole path."
        message = f"crops must be {side[0]} × {side[1]} pixels."
        raise errors.Invalid(message, where=where, remedy=remedy)


def _grey(sample: Sample, side: tuple[int, int]) -> Pixels:
    try:
        with Image.open(io.BytesIO(sample.load())) as image:
            grey = np.asarray(image.convert("L"))
    except OSError as error:
        raise errors.Unusable("this picture cannot be decoded.", where=sample.name) from error
    _check_side(grey.shape, side, where=sample.name)
    return grey


def _table_text(table: Path) -> str:
    """The text of a CSV file in UTF-8, or in UTF-16 as spreadsheets save it. Raises Invalid."""
    data = table.read_bytes()
    encoding = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise errors.Invalid(
            f"byte {error.start} is not {encoding.removesuffix('-sig').upper()} text.",
            where=str(table),
            remedy="Save it as CSV in UTF-8.",
        ) from error


def _from_table(table: Path) -> list[Sample]:
    with io.StringIO(_table_text(table), newline="") as file:
        reader = csv.DictReader(file)
        if not {"file", "label"} <= set(reader.fieldnames or ()):
            raise errors.Invalid(
                "the first line must name the columns file and label.", where=str(table)
            )
        result = []
        for row in reader:
            picture = table.parent / row["file"]
            if not picture.is_file():
                raise errors.NotFound(
                    f"line {reader.line_num} names a missing file: {row['file']}", where=str(table)
                )
            kind = row.get("kind") or ""
            source = row.get("source") or ""
            result.append(
                Sample(row["file"], (row["label"] or "").strip(), picture.read_bytes, kind, source)
            )
    return result


def _from_idx(path: Path) -> list[Sample]:
    images, labels = _idx_pair(path)
    return [
        Sample(f"{path.name}#{number}", str(label), lambda image=image: _png(image))  # type: ignore[misc]
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]


def _png(image: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _idx_pair(path: Path) -> tuple[Pixels, Pixels]:
    """Images (N, H, W) and labels (N,) of a pair of idx files, plain or gzipped."""
    stem = path.name.removesuffix(".gz").replace("images-idx3", "labels-idx1")
    candidates = (path.parent / f"{stem}.gz", path.parent / stem)
    beside = next(filter(Path.is_file, candidates), None)
    if beside is None:
        raise errors.NotFound(f"its labels are missing: {stem} or {stem}.gz", where=str(path))
    images = _idx(path, 3)
    labels = _idx(beside, 1)
    if len(images) != len(labels):
        raise errors.Invalid(f"{len(images)} images, but {len(labels)} labels.", where=str(path))
    return images, labels


def _idx(path: Path, dimensions: int) -> Pixels:
    """An idx file of unsigned bytes. Raises Invalid."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        if raw[:4] != bytes((0, 0, 8, dimensions)):
            raise ValueError("it has the wrong magic number")
        shape = struct.unpack_from(f">{dimensions}I", raw, 4)
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise errors.Invalid(
            f"this is not an idx file of {dimensions} dimensions: {error}.", where=str(path)
        ) from error
