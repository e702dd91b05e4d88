"""Flask and PyTorch as tutorials serve digits: the picture is shrunk to 28 × 28, and that is all.

It finds no digit, knows no rows and keeps nothing. Runs in an environment of its own.
"""

import io

import numpy as np
import torch
from flask import Flask, jsonify, request
from PIL import Image

torch.set_num_threads(1)
_NETWORK = torch.nn.Sequential(
    torch.nn.Conv2d(1, 32, 3),
    torch.nn.ReLU(),
    torch.nn.Conv2d(32, 64, 3),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(9216, 128),
    torch.nn.ReLU(),
    torch.nn.Linear(128, 10),
).eval()  # the size of PyTorch's example for MNIST; its weights cost nothing here
app = Flask(__name__)


@app.get("/")
def ready() -> str:
    """Answer that the server runs."""
    return "ready"


@app.post("/")
def read() -> object:
    """The likeliest digit of a picture and its probability."""
    picture = Image.open(io.BytesIO(request.get_data())).convert("L").resize((28, 28))
    values = 1.0 - np.asarray(picture, np.float32) / 255.0
    with torch.inference_mode():
        shares = _NETWORK(torch.from_numpy(values)[None, None]).softmax(dim=1)[0]
    return jsonify(digit=int(shares.argmax()), confidence=float(shares.max()))
