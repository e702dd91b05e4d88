"""Messages between a process and its decoding children: a JSON header and a payload of bytes.

Not pickle: a decoder that was taken over by a picture must not reach its parent through it.
"""

import json
import struct
from typing import IO, Any

from legibly import errors

_LENGTHS = struct.Struct("<II")
_MOST_BYTES = 1_000_000_000
_KINDS = {kind.__name__: kind for kind in (errors.Unusable, errors.NotAnImage)}


def send(stream: IO[bytes], header: dict[str, Any], payload: bytes | memoryview) -> None:
    """Write one message."""
    text = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text)
    stream.write(payload)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[Any, bytes]:
    """Read one message. Raises EOFError where the stream ends, ValueError for one that is torn."""
    header_bytes, payload_bytes = _LENGTHS.unpack(_exactly(stream, _LENGTHS.size))
    if header_bytes + payload_bytes > _MOST_BYTES:
        raise ValueError("a message of this size is none of ours")
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
    """The error that `error_document` described."""
    kind = _KINDS.get(document["kind"], errors.Unusable)
    return kind(
        document["template"], code=document["code"], remedy=document["remedy"], **document["params"]
    )


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
