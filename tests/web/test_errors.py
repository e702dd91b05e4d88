"""Errors that nobody expected."""

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

import services
from legibly.web.errors import InternalErrors


async def fail(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Fail as a fault in the program would."""
    raise ZeroDivisionError


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_an_unexpected_error_is_an_answer_like_another() -> None:
    """A problem document that tells nothing of the program; the connection stays."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/api/x", "query_string": b"", "headers": []}
    services.run_async(InternalErrors(fail)({**scope, "app": FastAPI()}, receive, send))
    assert sent[0]["status"] == 500
    assert b"connection" not in dict(sent[0]["headers"])
    assert b"internal-error" in sent[1]["body"]
    assert b"ZeroDivision" not in sent[1]["body"]
