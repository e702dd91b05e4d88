"""A form: its fields with their places, as JSON that people can edit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from legibly import errors

FORMAT = 1
MAX_FIELDS = 200
MAX_PIXELS = 100_000_000
MAX_ASPECT = 100
"""Largest ratio of the sides of a field."""
_REMEDY = "Make it with `legibly form make SCAN`."


@dataclass(frozen=True, slots=True)
class Field:
    """A box or comb: `box` is left, top, width, height in pixels of the form, `cells` the number of
    digits of a comb, 1 for a box without divisions.
    """

    name: str
    box: tuple[float, float, float, float]
    cells: int = 1

    @property
    def right(self) -> float:
        return self.box[0] + self.box[2]

    @property
    def bottom(self) -> float:
        return self.box[1] + self.box[3]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a straightened scan of `width` × `height` pixels, in the order of reading."""

    width: int
    height: int
    fields: tuple[Field, ...]

    def named(self, names: Sequence[str]) -> Self:
        """The form with new names for its fields, in order. Raises Invalid."""
        if len(names) != len(self.fields) or len(set(names)) != len(names) or "" in names:
            raise errors.Invalid(
                "{fields} fields need as many different names; {names} were given.",
                fields=len(self.fields),
                names=len(set(names) - {""}),
            )
        fields = tuple(
            replace(field, name=name) for field, name in zip(self.fields, names, strict=True)
        )
        return replace(self, fields=fields)

    def to_json(self) -> dict[str, Any]:
        """The form as JSON."""
        fields = [{**asdict(field), "box": list(field.box)} for field in self.fields]
        return {"format": FORMAT, "width": self.width, "height": self.height, "fields": fields}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Parse a form's JSON. Raises KeyError, TypeError and ValueError."""
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r} is not known here, only {FORMAT}")
        if not 1 <= len(data["fields"]) <= MAX_FIELDS:
            raise ValueError(f"a form has 1 to {MAX_FIELDS} fields")
        fields = tuple(_field(entry) for entry in data["fields"])
        names = [field.name for field in fields]
        if len(set(names)) != len(names):
            raise ValueError("two fields have the same name")
        form = cls(int(data["width"]), int(data["height"]), fields)
        _check_sizes(form)
        return form

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a form's file. Raises NotFound and Invalid."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise errors.NotFound(
                "there is no such form.", where=str(path), remedy=_REMEDY
            ) from None
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            raise errors.Invalid(message, where=str(path)) from error
        except KeyError as error:
            message = f"this is not a form: {error} is missing"
            raise errors.Invalid(message, where=str(path), remedy=_REMEDY) from error
        except (TypeError, ValueError, AttributeError) as error:
            message = f"this is not a form: {error}"
            raise errors.Invalid(message, where=str(path), remedy=_REMEDY) from error


def _field(entry: Mapping[str, Any]) -> Field:
    left, top, width, height = (float(side) for side in entry["box"])
    cells = int(entry.get("cells", 1))
    if not (width > 0 and height > 0 and 1 <= cells <= MAX_FIELDS):
        raise ValueError(f"the field {entry['name']!r} has no size or no cells")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ValueError(f"the field {entry['name']!r} is too narrow")
    return Field(str(entry["name"]), (left, top, width, height), cells)


def _check_sizes(form: Form) -> None:
    """Raises ValueError for fields outside of the form or too many pixels in fields."""
    area = form.width * form.height
    if not 0 < area <= MAX_PIXELS:
        raise ValueError(f"a form has at most {MAX_PIXELS:,} pixels")
    for field in form.fields:
        left, top, _, _ = field.box
        is_inside = left > -form.width and field.right < 2 * form.width
        if not (is_inside and top > -form.height and field.bottom < 2 * form.height):
            raise ValueError(f"the field {field.name!r} lies outside of the form")
    if sum(field.box[2] * field.box[3] for field in form.fields) > 2 * area:
        raise ValueError("the fields overlap")
