"""A network on a plain server of the Open Inference Protocol, with the card kept here."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

import services
from legibly import errors
from legibly.packs import card as cards
from legibly.packs import pack, remote
from packs import networks


class Colours(BaseHTTPRequestHandler):
    """Answers as MLServer does: JSON alone, its own tensor names, nothing of a card."""

    reply: Any = None

    def do_GET(self) -> None:
        metadata = {
            "name": "colours",
            "versions": ["7"],
            "inputs": [{"name": "input-0", "datatype": "FP32", "shape": [-1, 3, 8, 8]}],
            "outputs": [{"name": "output-0", "datatype": "FP32", "shape": [-1, 3]}],
        }
        self._send(200, {"extensions": []} if self.path == "/v2" else metadata)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (tensor,) = body["inputs"]
        assert tensor["name"] == "input-0"
        values = np.array(tensor["data"]).reshape(tensor["shape"]).mean(axis=(2, 3))
        output = {"name": "output-0", "datatype": "FP32", "shape": list(values.shape)}
        usual = {"outputs": [{**output, "data": values.ravel().tolist()}]}
        status, reply = type(self).reply or (200, usual)
        self._send(status, reply)

    def _send(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def url() -> Iterator[str]:
    Colours.reply = None
    server = ThreadingHTTPServer(("127.0.0.1", 0), Colours)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v2/models/colours"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(folder: Path, url: str) -> pack.Pack:
    """A pack without a network, whose card names the server."""
    content = json.dumps(networks.card(b"", remote={"url": url}, files={}))
    (folder / cards.CARD).write_text(content)
    return pack.open_pack(folder)


def test_a_plain_server_runs_the_network_of_a_card_kept_here(tmp_path: Path, url: str) -> None:
    """Names are taken from its metadata, preparing and judging happen here."""
    model = opened(tmp_path, url)
    for channel, label in enumerate(("red", "green", "blue")):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[..., channel] = 255
        logits = model.logits(model.prepare(pixels))
        assert model.card.classes[int(logits.argmax())] == label
    with pytest.raises(errors.Invalid, match="no model of a Legibly server"):
        remote.open_remote(url)


def output(data: list[Any], shape: list[int], datatype: str = "FP32") -> dict[str, Any]:
    entry = {"name": "output-0", "datatype": datatype, "shape": shape, "data": data}
    return {"outputs": [entry]}


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        ((200, output([1, 2, 3], [1, 3])), errors.Unavailable, "something else than output-0"),
        ((200, output([1.0] * 24, [2, 12])), errors.Unavailable, r"answers \(2, 12\)"),
        ((200, output([1, 2], [2, 3])), errors.Unavailable, "does not fit its shape"),
        ((200, output(["a"] * 6, [2, 3])), errors.Unavailable, "does not fit"),
        ((200, output(["a"] * 6, [2, 3], "BYTES")), errors.Unavailable, "something else"),
        ((200, output([float("nan")] * 6, [2, 3])), errors.Unusable, "NaN"),
        ((200, []), errors.Invalid, "no JSON"),
        ((200, {}), errors.Unavailable, "something else"),
        ((503, {"error": "no GPU."}), errors.Unavailable, "answers 503: no GPU"),
        ((400, {"error": "bad shape"}), errors.Invalid, "answers 400: bad shape"),
    ],
)
def test_wrong_answers_are_named(
    tmp_path: Path, url: str, reply: Any, kind: type[errors.LegiblyError], message: str
) -> None:
    """Short answers, wrong lengths, text, NaN, no JSON, the protocol's errors: a named error of the
    right kind.
    """
    model = opened(tmp_path, url)
    Colours.reply = reply
    with pytest.raises(kind, match=message):
        model.logits(model.blank(2))
    Colours.reply = None
    model.logits(model.blank(2))
    assert model.problem() is None


def test_a_failing_server_is_left_alone_for_a_moment(tmp_path: Path, url: str) -> None:
    """After some failures in a row calls end at once, without waiting for the server."""
    model = opened(tmp_path, url)
    Colours.reply = (503, {})
    for _ in range(remote.FAILURES):
        with pytest.raises(errors.Unavailable, match="503"):
            model.logits(model.blank(1))
    with pytest.raises(errors.Unavailable, match="left alone"):
        model.logits(model.blank(1))
    assert model.problem()


MLSERVER = Path(__file__).parents[2] / ".tools" / "mlserver" / "bin" / "mlserver"
RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse, MetadataTensor


class Colours(MLModel):
    async def load(self):
        shapes = [("input-0", [-1, 3, 8, 8])], [("output-0", [-1, 3])]
        self.inputs, self.outputs = (
            [MetadataTensor(name=name, datatype="FP32", shape=shape) for name, shape in part]
            for part in shapes
        )
        return True

    async def predict(self, payload):
        (tensor,) = payload.inputs
        values = NumpyCodec.decode_input(tensor).mean(axis=(2, 3)).astype(np.float32)
        output = NumpyCodec.encode_output("output-0", values)
        return InferenceResponse(model_name=self.name, outputs=[output])
"""


@pytest.fixture
def mlserver(tmp_path: Path) -> Iterator[str]:
    """The address of a model on a real MLServer."""
    if not MLSERVER.exists():
        bring = "python3.11 -m venv .tools/mlserver; .tools/mlserver/bin/pip install mlserver"
        pytest.skip(f"MLServer is not installed, and no part of `make test-all`: {bring}")
    folder = tmp_path / "mlserver"
    folder.mkdir()
    (folder / "colours.py").write_text(RUNTIME)
    kind = {"name": "colours", "implementation": "colours.Colours"}
    (folder / "model-settings.json").write_text(json.dumps(kind))
    names = ("http_port", "grpc_port", "metrics_port")
    ports = {name: services.free_port() for name in names}
    own = {**ports, "host": "127.0.0.1", "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps(own))
    environ = {"PATH": f"{MLSERVER.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = [str(MLSERVER), "start", str(folder)]
    with services.running(command, log=tmp_path / "mlserver.log", env=environ):
        url = f"http://127.0.0.1:{ports['http_port']}/v2"

        def is_ready() -> bool:
            with urlopen(f"{url}/models/colours/ready", timeout=2) as response:
                return bool(response.status == 200)

        services.wait_for(is_ready, subject="MLServer", seconds=60)
        yield f"{url}/models/colours"


def test_a_real_mlserver_runs_the_network_of_a_card_kept_here(
    tmp_path: Path, mlserver: str
) -> None:
    """MLServer 1.7 with a runtime of its own kind: names, shapes and values fit."""
    model = opened(tmp_path, mlserver)
    for channel, label in enumerate(("red", "green", "blue")):
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[..., channel] = 255
        logits = model.logits(model.prepare(pixels))
        assert model.card.classes[int(logits.argmax())] == label
