"""Pictures put straight into a bucket, whose events are lost, doubled, reordered and late."""

import contextlib
import json
import random
import time
from datetime import UTC, datetime, timedelta

import httpx

import pictures
from legibly.store import open_store
from server import Server

PREFIX = "event-"
SECRET = "a secret of the hook of chaos"
_PICTURES = 20
_LOST = 0.3
_DOUBLED = 0.3


def play(server: Server, chance: random.Random) -> set[str]:
    """Put pictures into the bucket; of their events some never come, some twice, none in order,
    and some say that they are a day old. Returns the pictures' names.
    """
    store = open_store(server.environ["LEGIBLY_STORE"], environ=server.environ)
    prefix = server.environ["LEGIBLY_STORE"].removeprefix("s3://").partition("/")
    events = []
    names = [f"{PREFIX}{chance.getrandbits(40):x}.png" for _ in range(_PICTURES)]
    for name in names:
        key = f"images/{name}"
        store.create(key, pictures.png())
        if chance.random() > _LOST:
            event = _event(prefix[0], f"{prefix[2]}/{key}", late=chance.random() < 0.3)
            events += [event] * (2 if chance.random() < _DOUBLED else 1)
    chance.shuffle(events)
    for event in events:
        _send(server, event)
        time.sleep(chance.uniform(0, 0.1))
    return set(names)


def _event(bucket: str, key: str, *, late: bool) -> str:
    moment = datetime.now(UTC) - timedelta(days=1 if late else 0)
    s3 = {"bucket": {"name": bucket}, "object": {"key": key, "size": len(pictures.png())}}
    record = {"eventName": "ObjectCreated:Put", "eventSource": "aws:s3", "s3": s3}
    return json.dumps({"Records": [{**record, "eventTime": moment.isoformat()}]})


def _send(server: Server, event: str) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    with contextlib.suppress(httpx.HTTPError):  # an event more that is lost
        url = f"{server.url}/api/events/s3"
        httpx.post(url, content=event, headers=headers, timeout=10).raise_for_status()
