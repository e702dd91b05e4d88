"""Compressed request bodies, as Triton's clients send them."""

import gzip
import io
import zlib

from legibly import errors


def decompress(body: bytes, encoding: str, *, limit: int) -> bytes:
    """The body without its content encoding. Raises Invalid, and TooLarge beyond `limit` bytes."""
    if encoding in ("", "identity"):
        return body
    try:
        if encoding == "gzip":
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
                plain = file.read(limit + 1)
        elif encoding == "deflate":
            plain = zlib.decompressobj().decompress(body, limit + 1)
        else:
            raise errors.NotAnImage("the content encoding {name} is not known.", name=encoding)
    except (OSError, EOFError, zlib.error) as error:
        raise errors.Invalid("the body is not {name}.", name=encoding) from error
    if len(plain) > limit:
        raise errors.TooLarge("the request has more than {limit} bytes.", limit=limit)
    return plain
