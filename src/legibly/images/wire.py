"""Sends messages between a process and its decoding children: a JSON header and a payload.

Not pickle, through which a decoder taken over by a picture could attack its parent.
"""

import json
import struct
from typing import IO, Any

from legibly import errors

_LENGTHS = struct.Struct("<II")
_MAX_BYTES = 1_000_000_000
_KINDS = {kind.__name__: kind for kind in (errors.Unusable, errors.NotAnImage)}


def send(stream: IO[bytes], header: dict[str, Any], payload: bytes | memoryview) -> None:
    """Write one message."""
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text)
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Any, bytes]:
    """Read one message. Raises EOFError at the end of the stream, ValueError for a torn one."""
    header_bytes, payload_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if header_bytes + payload_bytes > _MAX_BYTES:
        raise ValueError("the message is too large")
    header = json.loads(_exactly(stream, header_bytes))
    return header, _exactly(stream, payload_bytes)


def error_document(error: errors.LegiblyError) -> dict[str, Any]:
    """An error as JSON."""
    return {
        "kind": type(error).__name__,
        "template": error.template,
        "code": error.code,
        "remedy": error.remedy_template,
        "params": error.params,
    }


def error_from(document: dict[str, Any]) -> errors.LegiblyError:
    """Restore an error from its `error_document`."""
    kind = _KINDS.get(document["kind"], errors.Unusable)
    return kind(
        document["template"], code=document["code"], remedy=document["remedy"], **document["params"]
    )


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
