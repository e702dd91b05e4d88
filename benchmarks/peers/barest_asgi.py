"""The least that can serve a reader: reads the body, answers JSON, keeps nothing."""

import json
import os

from starlette.types import Receive, Scope, Send

from legibly import wiring
from legibly.settings import Settings

_READER = wiring.reader(Settings.load(environ=os.environ))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return  # uvicorn goes on without lifespan
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    document = _READER.read(body).reading.to_json() if body else {}
    data = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
