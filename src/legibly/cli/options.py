"""Settings of a command from environment, file and flags."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click

from legibly import errors
from legibly.settings import FILE, Settings


def settings(**flags: Any) -> Settings:
    """The settings of this call; flags that are None are ignored. Raises Invalid."""
    config = _config()
    root = click.get_current_context().find_root().obj or {}
    flags = {"project": root.get("project"), **flags}
    return Settings.load(environ=os.environ, file=Path(config) if config else None, **flags)


def keep(model: str) -> Path:
    """Set `model` in the settings file, keeping all other lines; return the file.

    Raises Invalid if it is not TOML, Unavailable if it is not writable.
    """
    file = Path(_config() or FILE)
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    others = [line for line in lines if line.split("=")[0].strip() != "model"]
    text = "\n".join([f"model = {json.dumps(model, ensure_ascii=False)}", *others]) + "\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise errors.Invalid(
            f"this is not TOML: {error}.", where=str(file), remedy="Correct it first."
        ) from error
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        remedy = f"Write `model = {json.dumps(model, ensure_ascii=False)}` into it by hand."
        raise errors.Unavailable(
            f"cannot be written ({error.strerror}).", where=str(file), remedy=remedy
        ) from error
    return file


def _config() -> str | None:
    root = click.get_current_context().find_root().obj or {}
    config: str | None = root.get("config")
    return config
