"""The Open Inference Protocol, and a second Legibly that uses the first one's network from afar."""

from pathlib import Path

import httpx
import numpy as np
import pytest

import pictures
import services
from legibly import errors
from legibly.packs import registry, remote
from legibly.packs.pack import open_pack
from server import Server

CROPS = np.random.default_rng(7).random((3, 1, 28, 28), np.float32)


def test_the_network_is_described_and_answers(client: httpx.Client) -> None:
    """Metadata tell the tensors; inference gives the logits that the pack gives here."""
    assert (
        client.get("/v2/health/live").status_code
        == client.get("/v2/health/ready").status_code
        == 200
    )
    described = client.get("/v2/models/digits").json()
    assert (described["inputs"][0]["shape"], described["outputs"][0]["shape"]) == (
        [-1, 1, 28, 28],
        [-1, 11],
    )
    tensor = {
        "name": "crops",
        "datatype": "FP32",
        "shape": [3, 1, 28, 28],
        "data": CROPS.ravel().tolist(),
    }
    answer = client.post("/v2/models/digits/infer", json={"id": "mine", "inputs": [tensor]}).json()
    assert (answer["id"], answer["model_name"]) == ("mine", "digits")
    logits = np.asarray(answer["outputs"][0]["data"]).reshape(answer["outputs"][0]["shape"])
    assert np.allclose(logits, open_pack(registry.find("digits")).logits(CROPS), atol=1e-4)


@pytest.mark.parametrize(
    ("path", "tensor", "status"),
    [
        ("other", {}, 404),
        ("digits/versions/000000000000", {}, 404),
        ("digits", {"name": "pixels"}, 400),
        ("digits", {"shape": [2, 1, 28, 28]}, 400),
        ("digits", {"shape": [1, 784]}, 400),
        ("digits", {"data": ["ink"] * 784}, 400),
        ("digits", {"shape": [5000, 1, 28, 28]}, 413),
    ],
)
def test_other_requests_are_refused(
    client: httpx.Client, path: str, tensor: dict[str, object], status: int
) -> None:
    """Unknown models, other tensors and data that do not fit are named, never a 500."""
    usual = {"name": "crops", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": [0.0] * 784}
    answer = client.post(f"/v2/models/{path}/infer", json={"inputs": [usual | tensor]})
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )


def test_a_remote_network_reads_like_the_one_here(
    client: httpx.Client, server: Server, tmp_path: Path
) -> None:
    """A Legibly whose model is another's address gives the same answer, under the same model
    version.
    """
    here = client.post("/api/images?wait=20", files={"file": pictures.png()}).json()["reading"]
    with Server.started(tmp_path, LEGIBLY_MODEL=f"{server.url}/v2/models/digits") as second:
        files = {"file": pictures.png()}
        there = httpx.post(f"{second.url}/api/images?wait=20", files=files, timeout=30).json()[
            "reading"
        ]
    assert (there["text"], there["model"]) == (here["text"], here["model"])
    assert there["items"][0]["probabilities"] == pytest.approx(
        here["items"][0]["probabilities"], abs=1e-4
    )


def test_a_server_that_is_away_or_none_is_named(server: Server) -> None:
    """Nobody there: to be tried again. Somebody else there: to be mended."""
    with pytest.raises(errors.Unavailable, match="does not answer"):
        remote.open_remote(f"http://127.0.0.1:{services.free_port()}/v2/models/digits")
    with pytest.raises(errors.Invalid, match="404"):
        remote.open_remote(f"{server.url}/v2/models/cats")


def test_metrics_count_by_route(client: httpx.Client) -> None:
    """Requests are counted by route, never by id, and the images by state."""
    image = client.post("/api/images?wait=20", files={"file": pictures.png()}).json()
    client.get(f"/api/images/{image['id']}")
    text = client.get("/metrics").text
    assert (
        'legibly_requests_total{method="GET",route="/api/images/{image_id}",status="200"}' in text
    )
    assert image["id"] not in text
    assert 'legibly_images{state="read"}' in text
