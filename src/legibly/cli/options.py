"""What several commands share: the settings out of environment, file and flags."""

import os
from pathlib import Path
from typing import Any

import click

from legibly.settings import Settings


def settings(**flags: Any) -> Settings:
    """The settings of this call; flags of None count as not given. Raises Invalid."""
    config = (click.get_current_context().find_root().obj or {}).get("config")
    return Settings.load(environ=os.environ, file=Path(config) if config else None, **flags)
