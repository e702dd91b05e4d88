"""`legibly serve` as a process of its own, as a user starts it."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import services


@dataclass
class Server:
    """A server over one folder, which may be killed and started again."""

    folder: Path
    port: int
    environ: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def objects(self) -> Path:
        """The folder of the object store."""
        return self.folder / "legibly-data" / "objects"

    @property
    def log(self) -> str:
        """What the server printed so far."""
        return (self.folder / "serve.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "legibly", "serve", "--port", str(self.port)]
        command += ["--workers", "1", *self.flags]  # the last one counts
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.environ},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ready = f"{self.url}/readyz"  # a machine that is busy with other tests takes its time
        services.wait_for(
            lambda: urllib.request.urlopen(ready, timeout=5), subject="legibly serve", seconds=90
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; SIGKILL is a crash."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait(20)
            self.process = None

    @classmethod
    @contextlib.contextmanager
    def started(cls, folder: Path, *flags: str, **environ: str) -> Iterator["Server"]:
        """A running server, stopped when the block ends."""
        server = cls(folder, services.free_port(), environ, flags)
        try:
            server.start()
            yield server
        finally:
            server.stop()
