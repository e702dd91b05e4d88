"""LitServe around the same reader; runs in an environment of its own."""

import os
import sys
from typing import Any

import litserve
from fastapi import UploadFile

from legibly import wiring
from legibly.settings import Settings


class Api(litserve.LitAPI):
    def setup(self, _device: str) -> None:
        self.reader = wiring.reader(Settings.load(environ=os.environ))

    def decode_request(self, request: UploadFile) -> bytes:
        return request.file.read()

    def predict(self, data: bytes) -> dict[str, Any]:
        return self.reader.read(data).reading.to_json()

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    port = int(sys.argv[1])
    workers = int(sys.argv[2])
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=workers)
    server.run(port=port, generate_client_file=False, log_level="warning")
