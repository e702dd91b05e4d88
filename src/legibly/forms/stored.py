"""The forms of a project, stored under names: an object per version, the newest one counts."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from legibly import object_keys, text_rules
from legibly.errors import Conflict, Invalid, NotFound
from legibly.forms.form import Form
from legibly.records import now
from legibly.store import Store
from legibly.store.record_files import line

MAX_NAME = 80
MAX_PICTURE = 2_000_000
_PICTURE = re.compile(r"data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForm:
    """A form with its name.

    `version` counts from 1. `batch` is the id of the batch with the pictures of its fields, and
    `picture` the empty form as a data URI.
    """

    name: str
    version: int
    batch: str
    form: Form
    picture: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The form's JSON with these facts."""
        facts = {"name": self.name, "version": self.version, "batch": self.batch}
        return {**facts, **self.form.to_json(), "picture": self.picture}


class StoredForms:
    """The forms in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __iter__(self) -> Iterator[StoredForm]:
        """Every form, by name."""
        newest: dict[str, str] = {}
        for stat in self._store.list(object_keys.FORMS):
            folder = stat.key.rpartition("/")[0]
            newest[folder] = max(newest.get(folder, ""), stat.key)
        forms = filter(None, map(self._read, newest.values()))
        yield from sorted(forms, key=lambda form: form.name)

    def get(self, name: str) -> StoredForm:
        """One form. Raises NotFound."""
        keys = self._versions(name)
        form = self._read(keys[-1]) if keys else None
        if form is None:
            raise NotFound("there is no form with this name.", where=name[:MAX_NAME])
        return form

    def create(self, name: str, form: Form, *, picture: str | None = None) -> StoredForm:
        """Store a new form. Raises Invalid for the name or the picture, and Conflict if there is a
        form with this name.
        """
        batch = object_keys.new_id(now())
        new = StoredForm(name=_name(name), version=1, batch=batch, form=form, picture=picture)
        if self._versions(new.name) or not self._write(new):
            remedy = "Choose another name."
            raise Conflict("there is a form with this name.", where=new.name, remedy=remedy)
        return new

    def change(self, name: str, form: Form, *, version: int) -> StoredForm:
        """Replace version `version` of a form. Raises NotFound, and Conflict for a newer one."""
        current = self.get(name)
        changed = replace(current, version=version + 1, form=form)
        if current.version != version or not self._write(changed):
            remedy = "Load it again."
            raise Conflict("somebody else changed this form.", where=current.name, remedy=remedy)
        return changed

    def remove(self, name: str) -> None:
        """Delete a form; the pictures of its fields stay. Raises NotFound."""
        self.get(name)
        self._store.remove(self._versions(name))

    def _versions(self, name: str) -> list[str]:
        folder = object_keys.form_folder(name)
        return sorted(stat.key for stat in self._store.list(folder))

    def _write(self, stored: StoredForm) -> bool:
        _check(stored)
        key = object_keys.form_version(stored.name, stored.version)
        return self._store.create(key, line(stored.to_json()))

    def _read(self, key: str) -> StoredForm | None:
        try:
            data = json.loads(self._store.read(key))
            facts = {name: data[name] for name in ("name", "version", "batch", "picture")}
            return StoredForm(form=Form.from_json(data), **facts)
        except (KeyError, TypeError, ValueError, NotFound):
            return None  # deleted since it was listed, or written by something else


def _name(name: str) -> str:
    text = text_rules.check(name, "name")
    if text is None or len(text) > MAX_NAME or "/" in text:
        raise Invalid(
            "a form needs a name of 1 to {limit} characters without a slash.", limit=MAX_NAME
        )
    return text


def _check(stored: StoredForm) -> None:
    for field in stored.form.fields:
        if field.name != text_rules.check(field.name, "name") or len(field.name) > MAX_NAME:
            raise Invalid(
                "the field {field} needs a name of 1 to {limit} plain characters.",
                field=field.name[:MAX_NAME],
                limit=MAX_NAME,
            )
    picture = stored.picture
    if picture and (len(picture) > MAX_PICTURE or not _PICTURE.fullmatch(picture)):
        raise Invalid(
            "the picture of a form is a PNG, JPEG or WebP data URI of at most {limit} characters.",
            limit=MAX_PICTURE,
        )
