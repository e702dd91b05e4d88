"""Projects in one store, each with its own images, labels, index and settings.

The project `default` is the store itself. All others are below `projects/NAME/` in the same store,
each with its own index, so that nothing of one project can appear in another. Accounts belong to
the store and are the same in all projects.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

from legibly import object_keys
from legibly.errors import Conflict, Invalid, NotFound
from legibly.records import moment, now, stamp
from legibly.settings import DEFAULT_PROJECT, Settings
from legibly.store import Store

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TITLE = 200
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One version of a project's record; the newest version counts.

    `model`, `ask_rate`, `review_people` and `text` are None to use the server's settings. `members`
    are account ids; an empty tuple admits all accounts.
    """

    name: str
    title: str
    changed_at: datetime
    model: str | None = None
    ask_rate: float | None = None
    review_people: int | None = None
    text: str | None = None
    members: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """The project as JSON."""
        return {**asdict(self), "members": list(self.members), "changed_at": stamp(self.changed_at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Parse a project's JSON. Raises KeyError, TypeError and ValueError."""
        fields = {**data, "members": tuple(data["members"])}
        return cls(**{**fields, "changed_at": moment(data["changed_at"])})

    def admits(self, account: str | None, role: str) -> bool:
        """Whether an account may enter; administrators always may, as may all without accounts."""
        return not self.members or account is None or role == "admin" or account in self.members

    def override(self, settings: Settings) -> Settings:
        """The server's settings, overridden by those of this project."""
        names = ("model", "ask_rate", "review_people", "text")
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(settings, project=self.name, **chosen)


class Projects:
    """The projects of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __iter__(self) -> Iterator[Project]:
        """Every project, `default` first, then by name, in its last version that can be read."""
        yield Project(name=DEFAULT_PROJECT, title="", changed_at=EPOCH)
        versions: dict[str, list[str]] = defaultdict(list)
        for stat in self._store.list(object_keys.PROJECTS):
            name = object_keys.project_of_record(stat.key)
            if name is not None:
                versions[name].append(stat.key)
        for name in sorted(versions):
            project = self._newest(sorted(versions[name]))
            if project is not None:
                yield project

    def admitting(self, account: str | None, role: str) -> list[Project]:
        """The projects that an account may enter, `default` first."""
        return [project for project in self if project.admits(account, role)]

    def get(self, name: str) -> Project:
        """One project. Raises NotFound."""
        if name == DEFAULT_PROJECT:
            return next(iter(self))
        keys = self._versions(name) if NAME.fullmatch(name) else []
        project = self._newest(keys)
        if project is None:
            remedy = "`legibly projects list` names those that exist."
            raise NotFound("there is no such project.", where=name[:80], remedy=remedy)
        return project

    def create(self, name: str, *, title: str = "", **values: Any) -> Project:
        """Create a project. Raises Invalid for a name or value, Conflict if the name exists."""
        if not NAME.fullmatch(name) or name == DEFAULT_PROJECT:
            remedy = "Use up to 40 lower-case letters, digits and hyphens, a letter first."
            raise Invalid("this cannot be the name of a project.", where=name[:80], remedy=remedy)
        if self._versions(name):
            raise Conflict("a project of this name exists.", where=name, remedy="Choose another.")
        return self._write(Project(name=name, title=title, changed_at=now(), **values), number=1)

    def change(self, name: str, **values: Any) -> Project:
        """Write a new version of a project. Raises NotFound; Conflict after a concurrent one."""
        if name == DEFAULT_PROJECT:
            remedy = "Set LEGIBLY_MODEL, LEGIBLY_ASK_RATE … or legibly.toml instead."
            raise Invalid("the default project follows the server's settings.", remedy=remedy)
        project = replace(self.get(name), changed_at=now(), **values)
        return self._write(project, number=len(self._versions(name)) + 1)

    def _versions(self, name: str) -> list[str]:
        return sorted(stat.key for stat in self._store.list(object_keys.project_records(name)))

    def _write(self, project: Project, *, number: int) -> Project:
        if len(project.title) > MAX_TITLE:
            raise Invalid(f"the title is longer than {MAX_TITLE} characters.", where=project.name)
        project.override(Settings())  # raises Invalid for values that a server could not use
        record = json.dumps(project.to_json(), ensure_ascii=False).encode() + b"\n"
        if not self._store.create(object_keys.project_record(project.name, number), record):
            raise Conflict("somebody else changed this project.", where=project.name)
        return project

    def _newest(self, keys: list[str]) -> Project | None:
        """The last one that can be read."""
        read = (project for key in reversed(keys) if (project := self._read(key)))
        return next(read, None)

    def _read(self, key: str) -> Project | None:
        try:
            return Project.from_json(json.loads(self._store.read(key)))
        except (KeyError, TypeError, ValueError, NotFound):
            return None


def store_url(settings: Settings) -> str:
    """The URL of the objects of the settings' project."""
    if settings.project == DEFAULT_PROJECT:
        return settings.store
    return f"{settings.store.rstrip('/')}/{object_keys.project(settings.project)}".rstrip("/")


def namespace(settings: Settings) -> str | None:
    """The part of the database that holds the settings' project; None is the database itself."""
    return None if settings.project == DEFAULT_PROJECT else settings.project
