"""A classifier whose network runs on another machine, over the Open Inference Protocol V2.

Of a Legibly server the card comes with the model's metadata (`parameters.card`); of any other
server it is kept here, in a pack without a network whose card names the address under `remote`.
Finding ink, preparing, calibration and verdicts happen here, the network alone there. Source: Open
Inference Protocol, KServe 2024, REST.
"""

import http.client
import json
import ssl
import threading
import time
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np

from legibly import errors, records
from legibly.packs import card as cards
from legibly.packs import network, oip_tensors
from legibly.packs.calibration import Floats
from legibly.packs.classifier import Pack

TIMEOUT_SECONDS = 20.0
INPUT = "crops"
OUTPUT = "logits"
FAILURES = 3
"""After this many failures in a row requests pause for a while."""
PAUSE_SECONDS = 2.0


def is_remote(model: str) -> bool:
    """Whether a model's name is the address of a remote model."""
    return model.startswith(("http://", "https://"))


def open_remote(url: str) -> Pack:
    """Open the model of a Legibly server at `http(s)://…/v2/models/NAME`.

    Raises errors.Unavailable without an answer, and errors.Invalid if the server has no such model.
    """
    client = Client(url)
    metadata = client.call("GET", "")
    try:
        card = cards.Card.from_json(json.loads(metadata["parameters"]["card"]))
        version = str(metadata["versions"][-1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        remedy = (
            "Keep a card for it here: a folder with a card.json that names the address under "
            "`remote`; docs/reference/model-card.md has an example."
        )
        message = "this is no model of a Legibly server."
        raise errors.Invalid(message, where=url, remedy=remedy) from error
    binary = client.speaks_binary()

    def run(values: Floats) -> Floats:
        answer = client.infer(INPUT, values, OUTPUT, binary=binary)
        return np.asarray(answer, np.float32)

    return Pack(card=card, model=records.Model(name=card.name, version=version), run=run)


def open_with_card(card: cards.Card) -> Pack:
    """Open the model at the card's `remote` address. Raises Unavailable and Invalid."""
    if card.remote is None:
        raise errors.Invalid("the card names no remote server", where=card.name)
    client = Client(card.remote.url, timeout_seconds=card.remote.timeout_seconds)
    metadata = client.call("GET", "")
    input_name = card.input.name or _first_name(metadata, "inputs", card)
    output_name = card.output.name or _first_name(metadata, "outputs", card)
    binary = card.remote.binary and client.speaks_binary()

    def run(values: Floats) -> Floats:
        tensor = network.to_tensor(values, card)
        answer = client.infer(input_name, tensor, output_name, binary=binary)
        return network.as_logits(answer, card)

    batch = card.input.batch
    versions = metadata.get("versions") or [""]
    described = cards.version(card, str(versions[-1]).encode())
    model = records.Model(name=card.name, version=described)
    return Pack(
        card=card, model=model, run=run if batch is None else network.in_batches(run, batch)
    )


def _first_name(metadata: dict[str, Any], side: str, card: cards.Card) -> str:
    try:
        return str(metadata[side][0]["name"])
    except (KeyError, IndexError, TypeError) as error:
        message = "the server does not name its {side}"
        remedy = "Name it in card.json: {key}."
        key = f"{side[:-1]}.name"
        raise errors.Invalid(message, where=card.name, remedy=remedy, side=side, key=key) from error


class Client:
    """Calls a model over persistent connections, one per thread; pauses if the server fails."""

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._local = threading.local()
        self._url: SplitResult = urlsplit(url.rstrip("/"))
        self._timeout_seconds = timeout_seconds
        self._failures = 0
        self._paused_until = 0.0

    def __del__(self) -> None:
        if getattr(self._local, "connection", None) is not None:
            self._close()

    def speaks_binary(self) -> bool:
        """Whether the server accepts tensors as bytes."""
        root = self._url.path.partition("/v2/")[0] + "/v2"
        try:
            status, _, content = self._send("GET", root, None, {})
            return status == 200 and oip_tensors.BINARY_EXTENSION in json.loads(content).get(
                "extensions", ()
            )
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return False

    def call(self, method: str, path: str, content: bytes | None = None) -> dict[str, Any]:
        """The JSON answer to a request. Raises errors.Unavailable and errors.Invalid."""
        headers = {"Content-Type": "application/json"}
        answer, _ = self._answer(method, path, content, headers)
        return answer

    def infer(
        self, input_name: str, tensor: oip_tensors.Array, output_name: str, *, binary: bool
    ) -> oip_tensors.Array:
        """The output for one input. Raises Unavailable for an answer without such a tensor."""
        entry, raw = oip_tensors.encode(input_name, tensor, binary=binary)
        message: dict[str, Any] = {"inputs": [entry]}
        headers = {"Content-Type": "application/json"}
        if binary:
            message["outputs"] = [{"name": output_name, "parameters": {"binary_data": True}}]
            headers = {"Content-Type": "application/octet-stream"}
        content = json.dumps(message).encode()
        if binary:
            headers[oip_tensors.HEADER_LENGTH] = str(len(content))
        answer, rest = self._answer("POST", "/infer", content + raw, headers)
        try:
            outputs = oip_tensors.decode_all(answer.get("outputs"), rest)
            values = outputs[output_name]
            if values.shape[:1] != tensor.shape[:1]:
                raise ValueError(f"{values.shape} for {len(tensor)} items")
        except (errors.Invalid, KeyError, ValueError) as error:
            raise errors.Unavailable(
                "the model server answers something else than {output}: {problem}.",
                where=self._url.geturl(),
                output=output_name,
                problem=str(error),
            ) from error
        return values

    def _answer(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[dict[str, Any], bytes]:
        self._require_open()
        where = self._url.geturl()
        try:
            status, length, answer = self._send(method, self._url.path + path, content, headers)
        except (OSError, http.client.HTTPException) as error:
            self._count_failure()
            raise errors.Unavailable(
                "the model server does not answer: {problem}.",
                where=where,
                problem=str(error) or type(error).__name__,
            ) from error
        if status != 200:
            self._close()
            kind: type[errors.LegiblyError] = errors.Invalid
            if status >= 500 or status == 429:
                self._count_failure()
                kind = errors.Unavailable
            reason = f"{status}{_reason(answer)}"
            raise kind("the model server answers {reason}.", where=where, reason=reason)
        self._failures = 0
        try:
            return oip_tensors.split(answer, length)
        except errors.Invalid as error:
            raise errors.Invalid("the model server's answer is no JSON.", where=where) from error

    def _require_open(self) -> None:
        wait = self._paused_until - time.monotonic()
        if wait > 0:
            raise errors.Unavailable(
                "the model server failed several times and is left alone for a moment.",
                where=self._url.geturl(),
            )

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._failures = 0

    def _send(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str | None, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            try:
                return _exchange(connection, method, path, content, headers)
            except (OSError, http.client.HTTPException):
                self._close()  # the server closed an idle connection: retry once with a new one
        self._local.connection = self._connect()
        return _exchange(self._local.connection, method, path, content, headers)

    def _close(self) -> None:
        self._local.connection.close()
        self._local.connection = None

    def _connect(self) -> http.client.HTTPConnection:
        host = self._url.netloc
        seconds = self._timeout_seconds
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, timeout=seconds, context=context)
        return http.client.HTTPConnection(host, timeout=seconds)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    content: bytes | None,
    headers: dict[str, str],
) -> tuple[int, str | None, bytes]:
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    return response.status, response.getheader(oip_tensors.HEADER_LENGTH), response.read()


def _reason(answer: bytes) -> str:
    """The message of the protocol's error document."""
    try:
        message = json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {str(message)[:200].rstrip('.')}"
