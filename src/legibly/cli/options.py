"""What several commands share: settings from environment, file and flags."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import click

from legibly import errors
from legibly.settings import FILE, Settings


def settings(**flags: Any) -> Settings:
    """The settings of this call; flags of None count as not given. Raises Invalid."""
    config = _config()
    root = click.get_current_context().find_root().obj or {}
    flags = {"project": root.get("project"), **flags}
    return Settings.load(environ=os.environ, file=Path(config) if config else None, **flags)


def keep(model: str) -> Path:
    """Set `model` in the settings file, all other lines kept; returns the file.

    Raises Invalid where it is no TOML, Unavailable where it cannot be written.
    """
    file = Path(_config() or FILE)
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    others = [line for line in lines if line.split("=")[0].strip() != "model"]
    text = "\n".join([f"model = {json.dumps(model, ensure_ascii=False)}", *others]) + "\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise errors.Invalid(
            f"this is not TOML: {error}.", where=str(file), remedy="Mend it first."
        ) from error
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        remedy = f"Write `model = {json.dumps(model, ensure_ascii=False)}` into it yourself."
        raise errors.Unavailable(
            f"cannot be written ({error.strerror}).", where=str(file), remedy=remedy
        ) from error
    return file


def _config() -> str | None:
    root = click.get_current_context().find_root().obj or {}
    config: str | None = root.get("config")
    return config
