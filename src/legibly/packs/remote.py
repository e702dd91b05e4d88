"""A classifier whose network runs on another machine, over the Open Inference Protocol V2.

The card comes with the model's metadata (`parameters.card`), as Legibly's own servers give it: finding ink, calibration
and verdicts happen here, the network alone there. Source: Open Inference Protocol, KServe 2024, REST.
"""

import http.client
import json
import ssl
import threading
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np

from legibly import errors, records
from legibly.packs import card as cards
from legibly.packs.calibration import Floats
from legibly.packs.pack import Pack

TIMEOUT_SECONDS = 20.0
INPUT, OUTPUT = "crops", "logits"


def is_remote(model: str) -> bool:
    """Whether a model's name is the address of a remote one."""
    return model.startswith(("http://", "https://"))


def open_remote(url: str) -> Pack:
    """Open the model at `http(s)://…/v2/models/NAME`.

    Raises errors.Unavailable where nobody answers and errors.Invalid for an answer that is no such model.
    """
    caller = _Caller(urlsplit(url.rstrip("/")))
    metadata = caller.call("GET", "")
    try:
        card = cards.Card.from_json(json.loads(metadata["parameters"]["card"]))
        version = str(metadata["versions"][-1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        remedy = "Its metadata need the pack's card.json as the text parameters.card, as `legibly serve` gives it."
        raise errors.Invalid(
            "this is no model of a Legibly server.", where=url, remedy=remedy
        ) from error

    def run(crops: Floats) -> Floats:
        tensor = {
            "name": INPUT,
            "datatype": "FP32",
            "shape": list(crops.shape),
            "data": crops.ravel().tolist(),
        }
        answer = caller.call("POST", "/infer", {"inputs": [tensor]})
        try:
            output = next(one for one in answer["outputs"] if one["name"] == OUTPUT)
            return np.asarray(output["data"], np.float32).reshape(output["shape"])
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise errors.Unavailable(
                "the model server answers something else than logits.", where=url
            ) from error

    return Pack(card=card, model=records.Model(name=card.name, version=version), run=run)


class _Caller:
    """JSON over connections that stay open, one a thread."""

    def __init__(self, url: SplitResult) -> None:
        self._url = url
        self._local = threading.local()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = json.dumps(body).encode() if body is not None else None
        try:
            status, answer = self._send(method, path, content)
        except (OSError, http.client.HTTPException) as error:
            what = f"the model server does not answer: {error or type(error).__name__}."
            raise errors.Unavailable(what, where=self._url.geturl()) from error
        if status != 200:
            self._close()
        if status >= 500 or status == 429:
            raise errors.Unavailable(
                f"the model server answers {status}.", where=self._url.geturl()
            )
        if status != 200:
            raise errors.Invalid(f"the model server answers {status}.", where=self._url.geturl())
        try:
            parsed = json.loads(answer)
        except ValueError as error:
            raise errors.Invalid(
                "the model server's answer is no JSON.", where=self._url.geturl()
            ) from error
        return parsed if isinstance(parsed, dict) else {}

    def _send(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._exchange(kept, method, path, content)
            except (OSError, http.client.HTTPException):
                self._close()  # the server closed what it had kept open: one fresh connection decides
        self._local.connection = self._connect()
        return self._exchange(self._local.connection, method, path, content)

    def _close(self) -> None:
        self._local.connection.close()
        self._local.connection = None

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, content: bytes | None
    ) -> tuple[int, bytes]:
        connection.request(
            method, self._url.path + path, content, {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        return response.status, response.read()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._url.netloc
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
