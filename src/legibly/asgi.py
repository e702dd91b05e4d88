"""The application for ASGI servers: `uvicorn --factory legibly.asgi:create`."""

import json
import os

from fastapi import FastAPI

from legibly import log_format, wiring
from legibly.settings import Settings

FLAGS = "_LEGIBLY_FLAGS"
"""The variable in which `serve` hands its flags on to its processes."""


def create() -> FastAPI:
    """The application with the settings of the environment, the file and `serve`'s flags."""
    settings = Settings.load(environ=os.environ, **json.loads(os.environ.get(FLAGS, "{}")))
    if settings.log == "json":
        log_format.use_json()
    return wiring.app(settings)
