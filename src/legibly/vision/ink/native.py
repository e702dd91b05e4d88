"""Calls the compiled kernels of native.c, if they were built; each has a twin in NumPy or Pillow
beside its caller that gives the same bits.
"""

import ctypes
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from legibly.vision.ink import native_build

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Ints = NDArray[np.intp]
Pixels = NDArray[np.uint8]
Part = TypeVar("Part", Floats, Mask)

SIDE = 28
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
_PLANE = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "checksum": (ctypes.c_uint32, ()),
    "count_calm": (ctypes.c_int64, (*_PLANE, ctypes.c_int, ctypes.c_int, ctypes.c_float)),
    "count_lowest": (ctypes.c_int64, (*_PLANE, ctypes.c_int)),
    "shrink": (ctypes.c_int, (*_PLANE, ctypes.c_int, ctypes.c_void_p)),
    "count_edges": (ctypes.c_int, (*_PLANE, ctypes.c_void_p)),
    "cut": (
        ctypes.c_int,
        (
            *(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int),
            *(*_PLANE, ctypes.c_int, ctypes.c_double, ctypes.c_void_p),
        ),
    ),
    "label": (ctypes.c_int64, (*_PLANE, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)),
    "normalise": (ctypes.c_int, (*_PLANE, ctypes.c_void_p)),
    "resize": (ctypes.c_int, (*_PLANE, *_PLANE, ctypes.c_int)),
    "set_flatten_first": (None, (ctypes.c_int,)),
    "strength": (ctypes.c_int, (*_PLANE, ctypes.c_int, ctypes.c_void_p)),
    "strokes": (
        ctypes.c_int,
        (*_PLANE, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
    ),
    "thin_columns": (ctypes.c_int64, (*_PLANE, ctypes.c_int)),
    "thin_rows": (ctypes.c_int64, (*_PLANE, ctypes.c_int)),
}


kernels: ctypes.CDLL | None = None
"""None: every caller runs its twin."""
resizes = False
"""Whether the kernels that resize give the bits of this Pillow; else their twins run."""


def use(path: Path | None) -> None:
    """Use the kernels of a library, or the twins if there is none for this system and source."""
    global kernels, resizes
    kernels = _load(path) if path is not None and path.exists() else None
    resizes = kernels is not None and _resizes_as_pillow(kernels)


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError):
        return None
    # The source is not in the function's zip; where it is, it may have changed.
    same = not native_build.SOURCE.exists() or library.checksum() == native_build.checksum()
    return library if same else None


def shrink(pixels: Pixels, factor: int) -> Pixels:
    """A grey picture shrunk to the means of blocks, as Pillow's reduce does."""
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape
    out = np.empty((-(-height // factor), -(-width // factor)), np.uint8)
    _call("shrink", *_plane(pixels), factor, out.ctypes.data)
    return out


def count_lowest(values: Floats, step: int) -> int:
    """How many of every `step`th value equal the lowest of them."""
    values = np.ascontiguousarray(values, np.float32)
    return _call("count_lowest", *_plane(values), step)


def count_calm(values: Floats, skip: int, step: int, limit: float) -> int:
    """How many of every `step`th change along every `skip`th row are at most `limit`."""
    values = np.ascontiguousarray(values, np.float32)
    return _call("count_calm", *_plane(values), skip, step, limit)


def count_edges(mask: Mask) -> list[int]:
    """Counts of ink, of pixels unlike the one above, of those unlike the one before, and of runs
    that start within a row.
    """
    mask = np.ascontiguousarray(mask, np.bool_)
    counts = np.empty(4, np.int64)
    _call("count_edges", *_plane(mask), counts.ctypes.data)
    return counts.tolist()


def thin_runs(mask: Mask, limit: int, *, down: bool) -> int:
    """The number of horizontal, or vertical, runs of at most `limit` pixels."""
    mask = np.ascontiguousarray(mask, np.bool_)
    return _call("thin_columns" if down else "thin_rows", *_plane(mask), limit)


def label(mask: Mask) -> tuple[Ints, Ints]:
    """The runs of a mask and the boxes of its components: (4, runs), row, start, stop and label;
    (5, components), left, top, right, bottom and area.
    """
    mask = np.ascontiguousarray(mask, np.bool_)
    count = _call("thin_rows", *_plane(mask), mask.shape[1])
    runs = np.empty((4, count), np.int64)
    boxes = np.empty((5, count), np.int64)
    number = _call("label", *_plane(mask), count, runs.ctypes.data, boxes.ctypes.data)
    return runs, boxes[:, :number]


def strength(values: Floats, block: int) -> Floats:
    """See paper.strength."""
    values = np.ascontiguousarray(values, np.float32)
    height, width = values.shape
    out = np.empty((-(-height // block), -(-width // block)), np.float32)
    _call("strength", *_plane(values), block, out.ctypes.data)
    return out


def strokes(values: Floats, coarse: Floats, block: int) -> tuple[Floats, Mask]:
    """The level of each pixel from one for each block, and a mask of the values above it."""
    values = np.ascontiguousarray(values, np.float32)
    coarse = np.ascontiguousarray(coarse, np.float32)
    level = np.empty(values.shape, np.float32)
    mask = np.empty(values.shape, np.bool_)
    _call(
        *("strokes", *_plane(values), coarse.ctypes.data, block),
        *(level.ctypes.data, mask.ctypes.data),
    )
    return level, mask


def cut(values: Floats, inked: Mask, mask: Mask, reach: int, noise: float) -> Floats:
    """See glyphs.crop. `values` and `inked` may be parts of larger planes."""
    values = _rows(values)
    inked = _rows(inked)
    mask = np.ascontiguousarray(mask)
    out = np.empty(mask.shape, np.float32)
    _call(
        *("cut", values.ctypes.data, values.strides[0] // 4, inked.ctypes.data, inked.strides[0]),
        *(*_plane(mask), reach, noise, out.ctypes.data),
    )
    return out


def normalise(crop: Floats) -> Floats:
    """See normalise.normalise."""
    crop = np.ascontiguousarray(crop, np.float32)
    out = np.empty((SIDE, SIDE), np.float32)
    _call("normalise", *_plane(crop), out.ctypes.data)
    return out


def resize(plane: Floats, rows: int, columns: int, how: int) -> Floats:
    """Resize as Pillow does by areas (0), linearly (1) or bicubically (2)."""
    plane = np.ascontiguousarray(plane, np.float32)
    out = np.empty((rows, columns), np.float32)
    _call("resize", *_plane(plane), out.ctypes.data, rows, columns, how)
    return out


def _rows(plane: Part) -> Part:
    """The plane with the pixels of a row next to each other."""
    return plane if plane.strides[1] == plane.itemsize else np.ascontiguousarray(plane)


def _plane(plane: Floats | Mask | Pixels) -> tuple[int, int, int]:
    return plane.ctypes.data, plane.shape[0], plane.shape[1]


def _call(name: str, *arguments: float) -> int:
    result: int = getattr(kernels, name)(*arguments)
    if result < 0:
        raise MemoryError
    return result


def _resizes_as_pillow(library: ctypes.CDLL) -> bool:
    """Whether `resize` gives the bits of this Pillow, in one of the orders of its passes."""
    plane = np.sin(np.arange(31 * 12, dtype=np.float32).reshape(31, 12) ** 2)
    image = Image.fromarray(plane)
    for order in (1, 0):
        library.set_flatten_first(order)
        if all(
            resize(plane, rows, columns, how).tobytes()
            == image.resize((columns, rows), pil).tobytes()
            for how, pil in enumerate(_FILTERS)
            for rows, columns in ((9, 10), (50, 17), (29, 31))
        ):
            return True
    return False


use(Path(__file__).with_name(native_build.LIBRARY))
