"""A stand-in for CloudFormation: one stack whose states and refusals a test writes down.

Unlike AWS it checks no template, and creates nothing; an operation ends at once with the next of
the scripted endings.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore import xform_name

_NAME = "legibly"
_ID = f"arn:aws:cloudformation:us-east-1:000000000000:stack/{_NAME}/1"
_TIME = "2026-01-01T00:00:00Z"


@dataclass
class Script:
    """The stack: its state, empty for none, and how the next operations end."""

    state: str = ""
    endings: list[tuple[str, str]] = field(default_factory=list)
    """Pairs of the final state and, for a failure, its reason."""
    looks: list[str] = field(default_factory=list)
    """States of the next descriptions, before `state` holds."""
    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Error codes of the next calls, by action; an empty one lets a call through."""
    refused_template: str = ""
    """Why the next change set fails."""
    calls: list[str] = field(default_factory=list)
    events: list[dict[str, str]] = field(default_factory=list)

    def answer(self, action: str) -> Any:
        """The result of a call; raises LookupError with a code and a message."""
        self.calls.append(action)
        refusals = self.refusals.get(action, [])
        if code := refusals.pop(0) if refusals else "":
            raise LookupError(code, "The security token included in the request is expired")
        return getattr(self, f"_{xform_name(action)}")()

    def _describe_stacks(self) -> Any:
        state = self.looks.pop(0) if self.looks else self.state
        if not state:
            raise LookupError("ValidationError", f"Stack with id {_NAME} does not exist")
        stack = {"StackName": _NAME, "StackId": _ID, "StackStatus": state, "CreationTime": _TIME}
        return {"Stacks": [stack]}

    def _create_change_set(self) -> Any:
        if not self.state:
            self.events.clear()  # a new stack of the same name
        return {"Id": "1", "StackId": _ID}

    def _describe_change_set(self) -> Any:
        if self.refused_template:
            return {"Status": "FAILED", "StatusReason": self.refused_template}
        return {"Status": "CREATE_COMPLETE", "Changes": []}

    def _delete_change_set(self) -> Any:
        return {}

    def _execute_change_set(self) -> Any:
        self._end("Function")
        return {}

    def _delete_stack(self) -> Any:
        self._end("Bucket")
        if self.state == "DELETE_COMPLETE":
            self.state = ""
        return {}

    def _describe_stack_events(self) -> Any:
        return {"StackEvents": self.events}

    def _end(self, resource: str) -> None:
        self.state, reason = self.endings.pop(0)
        if reason:
            self._add(resource, "CREATE_FAILED", reason)
        self._add(_NAME, self.state)

    def _add(self, resource: str, state: str, reason: str = "") -> None:
        event = {"EventId": str(len(self.events)), "StackId": _ID, "Timestamp": _TIME}
        event |= {"LogicalResourceId": resource, "ResourceStatus": state}
        event["PhysicalResourceId"] = _ID if resource == _NAME else resource
        if reason:
            event["ResourceStatusReason"] = reason
        self.events.insert(0, event)


@contextmanager
def running(script: Script) -> Iterator[str]:
    """Serve the script; yields the address for AWS_ENDPOINT_URL_CLOUDFORMATION."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            [action] = form["Action"]
            try:
                body = f"<{action}Result>{_xml(script.answer(action))}</{action}Result>"
                self._send(200, f"<{action}Response>{body}</{action}Response>")
            except LookupError as error:
                code, message = error.args
                body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
                self._send(400, f"<ErrorResponse>{body}</ErrorResponse>")

        def _send(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_xml(part)}</{name}>" for name, part in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{_xml(part)}</member>" for part in value)
    return escape(str(value))
