"""Assigns the events of a queue to projects."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from legibly import object_keys, projects
from legibly.ingest.s3_documents import Event, Message, relative
from legibly.settings import DEFAULT_PROJECT

_PROJECT = re.compile(f"{object_keys.PROJECTS}({projects.NAME.pattern})/")


def by_project(messages: Sequence[Message], *, prefix: str) -> dict[str, list[Message]]:
    """Each project's messages, with its own events alone. A message without events, or with an
    error, is the default project's.
    """
    groups: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        events: dict[str, list[Event]] = defaultdict(list)
        for event in message.events:
            events[_project(event, prefix)].append(event)
        for name, own in (events or {DEFAULT_PROJECT: []}).items():
            groups[name].append(replace(message, events=tuple(own)))
    return groups


def folder(prefix: str, project: str) -> str:
    """The prefix of a project in the bucket of a store at `prefix`."""
    own = "" if project == DEFAULT_PROJECT else object_keys.project(project)
    return f"{prefix}/{own}".strip("/")


def _project(event: Event, prefix: str) -> str:
    match = _PROJECT.match(relative(event.key, prefix=prefix) or "")
    return match[1] if match else DEFAULT_PROJECT
