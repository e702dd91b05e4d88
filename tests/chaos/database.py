"""PostgreSQL that crashes."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import services


class Database:
    """A PostgreSQL in `folder` that was started by `services`; `stack` ends what is started
    again.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def kill(self, chance: random.Random) -> None:
        """Kill all its processes at once, and start it again some seconds later."""
        lines = (self._folder / "data" / "postmaster.pid").read_text().splitlines()
        process = int(lines[0])
        command = Path(f"/proc/{process}/cmdline").read_text().rstrip("\0").split("\0")
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)  # PostgreSQL takes a process that nobody waited for to be alive
        time.sleep(chance.uniform(1, 4))
        log = self._folder / f"postgres-{process}.log"
        user = services.postgres_user()
        self._stack.enter_context(services.running(command, log=log, **user))
