"""A small client for scripts: typed results, and retries where the server asks for them.

with Client("http://localhost:8000") as legibly:
    print(legibly.read("seven.png").reading.text)
"""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from legibly import errors, records

_AGAIN = (429, 502, 503, 504)
_ERRORS: dict[int, type[errors.LegiblyError]] = {
    400: errors.Invalid,
    401: errors.Forbidden,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    415: errors.NotAnImage,
    422: errors.Unusable,
}
_MAX_PAUSE_SECONDS = 30.0


class Client:
    """A Legibly server. Methods raise the error of `legibly.errors` for the server's status, and
    Unavailable after the last attempt.

    `tries` is the number of attempts if the server is unreachable or busy; a repeated upload is one
    image, since each upload has its own name. Not thread-safe.
    """

    def __init__(
        self,
        url: str = "http://localhost:8000",
        *,
        token: str | None = None,
        timeout_seconds: float = 60.0,
        tries: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise errors.Invalid(
                "the address of a server begins with http:// or https://.", where=url
            )
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._tries = tries
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read(
        self,
        picture: bytes | str | Path,
        *,
        label: str | None = None,
        writer: str | None = None,
        name: str | None = None,
        wait_seconds: float = 30.0,
    ) -> records.Image:
        """Upload a picture (bytes or a file) and return it with its reading, or pending."""
        fields = {"label": label, "writer": writer}
        sent = self._upload(picture, fields, name=name, wait_seconds=wait_seconds)
        if "images" in sent:
            where = name or ("" if isinstance(picture, bytes) else str(picture))
            message = "the file has pages: each of them is an image now."
            raise errors.Invalid(message, where=where, remedy="`read_pages` returns them.")
        return _image(sent)

    def read_pages(
        self, file: bytes | str | Path, *, name: str | None = None, wait_seconds: float = 30.0
    ) -> list[records.Image]:
        """Upload a PDF or TIFF file and return one image per page, or one image for any other file.
        Images that take longer are still pending.
        """
        sent = self._upload(file, {}, name=name, wait_seconds=wait_seconds)
        return [_image(page) for page in sent.get("images", [sent])]

    def _upload(
        self,
        file: bytes | str | Path,
        fields: dict[str, str | None],
        *,
        name: str | None,
        wait_seconds: float,
    ) -> dict[str, Any]:
        data = file if isinstance(file, bytes) else Path(file).read_bytes()
        name = name or ("picture" if isinstance(file, bytes) else Path(file).name)
        body, kind = _form(fields, data, name)
        path = f"/api/images?wait={min(wait_seconds, 30.0):g}"
        return self._json("POST", path, body=body, kind=kind)

    def image(self, image_id: str) -> records.Image:
        """One image."""
        return _image(self._json("GET", f"/api/images/{image_id}"))

    def images(self, **filters: str) -> Iterator[records.Image]:
        """All images that match the filters of the contract, newest first, fetched page by page."""
        after: str | None = None
        while True:
            query = urllib.parse.urlencode(
                {**filters, "limit": "500", **({"after": after} if after else {})}
            )
            page = self._json("GET", f"/api/images?{query}")
            yield from map(_image, page["images"])
            after = page["next"]
            if after is None:
                return

    def label(self, image_id: str, text: str | None) -> records.Image:
        """Set the true text of an image; None removes it."""
        body = json.dumps({"text": text}).encode()
        return _image(
            self._json("PUT", f"/api/images/{image_id}/label", body=body, kind="application/json")
        )

    def delete(self, image_id: str) -> None:
        """Delete an image and all its records."""
        self._ask("DELETE", f"/api/images/{image_id}")

    def original(self, image_id: str) -> bytes:
        """The picture itself."""
        return self._ask("GET", f"/api/images/{image_id}/original")

    def accuracy(self) -> dict[str, Any]:
        """The accuracy report of the contract."""
        return self._json("GET", "/api/accuracy")

    def legibility(self, writer: str | None = None) -> dict[str, Any]:
        """The handwriting report of the caller, or of one writer."""
        query = f"?{urllib.parse.urlencode({'writer': writer})}" if writer else ""
        return self._json("GET", f"/api/legibility{query}")

    def _json(
        self, method: str, path: str, *, body: bytes | None = None, kind: str = ""
    ) -> dict[str, Any]:
        document = json.loads(self._ask(method, path, body=body, kind=kind))
        if not isinstance(document, dict):
            raise errors.Unavailable(
                "the server answered with something else than was asked.", where=path
            )
        return document

    def _ask(self, method: str, path: str, *, body: bytes | None = None, kind: str = "") -> bytes:
        request = self._request(method, path, body, kind)
        pause = 0.5
        for left in range(self._tries - 1, -1, -1):
            retry_after = 0.0
            try:
                with urllib.request.urlopen(request, timeout=self._timeout_seconds) as got:  # noqa: S310
                    return bytes(got.read())
            except urllib.error.HTTPError as error:
                with error:
                    problem = _problem(error, self._url + path)
                    retry_after = _seconds(error.headers.get("Retry-After"))
                    if error.code not in _AGAIN or not left:
                        raise problem from None
            except (OSError, http.client.HTTPException) as error:
                if not left:
                    raise errors.Unavailable(
                        "the server cannot be reached: {error}.", where=self._url, error=str(error)
                    ) from error
            self._sleep(min(retry_after or pause, _MAX_PAUSE_SECONDS))
            pause *= 2
        raise errors.Unavailable("nothing was tried.", where=self._url)

    def _request(
        self, method: str, path: str, body: bytes | None, kind: str
    ) -> urllib.request.Request:
        headers = {"Accept": "application/json"}
        if kind:
            headers["Content-Type"] = kind
        if method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return urllib.request.Request(self._url + path, data=body, method=method, headers=headers)  # noqa: S310


def _form(fields: dict[str, str | None], data: bytes, name: str) -> tuple[bytes, str]:
    """A multipart form and its content type."""
    mark = uuid.uuid4().hex
    quoted = name.replace("\\", "_").replace('"', "%22").replace("\r", "").replace("\n", "")
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
        if value is not None
    ]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
    parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n")
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _image(data: dict[str, Any]) -> records.Image:
    label = data["label"]
    reading = data["reading"]
    names = ("id", "media_type", "bytes", "state", "width", "height", "writer", "error")
    return records.Image(
        **{name: data[name] for name in names},
        key="",
        received_at=records.moment(data["received_at"]),
        name=data.get("name"),
        batch=data.get("batch"),
        label=records.Label.from_json(label) if label else None,
        reading=records.Reading.from_json(reading) if reading else None,
    )


def _seconds(header: str | None) -> float:
    """The seconds of a Retry-After header; 0 if it is a date or missing."""
    return float(header) if header and header.isdecimal() else 0.0


def _problem(error: urllib.error.HTTPError, where: str) -> errors.LegiblyError:
    """The error for a problem document, or for any other response, such as that of a proxy."""
    try:
        problem = json.loads(error.read())
        detail = str(problem.get("detail") or problem.get("title") or error.reason)
    except (ValueError, AttributeError):
        detail = f"the server answered with status {error.code}."
    kind = _ERRORS.get(error.code, errors.Unavailable)
    if kind is errors.Forbidden:
        return errors.Forbidden(detail, authenticated=error.code != 401, where=where)
    return kind(detail, where=where)
