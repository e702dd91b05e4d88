"""Clients of others against our Open Inference Protocol, and our client against a server of
others.
"""

import importlib.util

import numpy as np
import pytest

from legibly.packs import registry
from legibly.packs.pack import open_pack
from server import Server

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tritonclient") is None,
    reason="needs Triton's client: pip install 'tritonclient[http]'",
)
CROPS = np.random.default_rng(7).random((3, 1, 28, 28), np.float32)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_tritons_client_infers(server: Server, binary: bool) -> None:
    """Metadata, readiness and inference, as JSON and as bytes, with the logits that the pack gives
    here.
    """
    from tritonclient import http

    client = http.InferenceServerClient(url=server.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_model_ready("digits")
    tensor = http.InferInput("crops", list(CROPS.shape), "FP32")
    tensor.set_data_from_numpy(CROPS, binary_data=binary)
    output = http.InferRequestedOutput("logits", binary_data=binary)
    answer = client.infer("digits", [tensor], outputs=[output]).as_numpy("logits")
    expected = open_pack(registry.find("digits")).logits(CROPS)
    assert np.allclose(answer, expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_tritons_client_understands_our_errors(server: Server) -> None:
    """An unknown model is the protocol's error with our words."""
    from tritonclient import http
    from tritonclient.utils import InferenceServerException

    client = http.InferenceServerClient(url=server.url.removeprefix("http://"))
    with pytest.raises(InferenceServerException, match="no such model"):
        client.get_model_metadata("cats")
