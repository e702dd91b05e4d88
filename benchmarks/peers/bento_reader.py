"""BentoML around the same reader; runs in an environment of its own."""

import os
from pathlib import Path
from typing import Any

import bentoml

from legibly import wiring
from legibly.settings import Settings


@bentoml.service(workers=int(os.environ.get("WORKERS", "1")), metrics={"enabled": False})
class Reader:
    def __init__(self) -> None:
        self.reader = wiring.reader(Settings.load(environ=os.environ))

    @bentoml.api
    def read(self, picture: Path, /) -> dict[str, Any]:
        return self.reader.read(picture.read_bytes()).reading.to_json()
