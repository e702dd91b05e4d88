"""Several server processes behind one socket, forked after all imports.

Nothing may be opened before the fork: the threads of a store, a database or a network do not
survive it. Checks at the start therefore run in a process that ends.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

import click
import uvicorn

from legibly.cli.serve import connections, memory
from legibly.errors import LegiblyError
from legibly.web import live_hub

CAN_FORK = sys.platform == "linux"
_MIN_LIFE_SECONDS = 5.0
"""A process that ends sooner is not restarted: it would only end again."""
_TRIM_TICKS = 600  # a minute


def check(work: Callable[[], object]) -> None:
    """Do something in a separate process; if it raises, this process exits with its error."""
    process = os.fork()
    if process == 0:
        _run(work)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code:
        sys.exit(1)


def _run(work: Callable[[], object]) -> NoReturn:
    """Do it, and end this process."""
    code = 0
    try:
        work()
    except LegiblyError as error:
        click.echo(f"legibly: {error}", err=True)
        code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Server(uvicorn.Server):
    """A server with a limit on connections, whose garbage collector ignores all objects that exist
    after the start.

    Scanning these 400,000 objects every few seconds made all requests wait.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        most: int | None = None,
        request_seconds: float = connections.REQUEST_SECONDS,
    ) -> None:
        config.limit_concurrency = most or connections.limit()
        super().__init__(config)
        self._tidier = connections.Tidier(
            most=config.limit_concurrency, request_seconds=request_seconds
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application."""
        await super().startup(sockets)
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, without waiting for pages that are open."""
        live_hub.end_streams()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: close connections that only wait, and return free memory."""
        if counter % 10 == 0:
            self._tidier.tidy(self.server_state.connections)
        if counter % _TRIM_TICKS == _TRIM_TICKS - 1:
            asyncio.get_running_loop().run_in_executor(None, memory.trim)
        return await super().on_tick(counter)


class Processes:
    """Serves with `count` processes until it is stopped; one that ends is replaced."""

    def __init__(self, config: uvicorn.Config, *, count: int) -> None:
        self._config = config
        self._count = count
        self._started: dict[int, float] = {}
        self._is_stopping = False
        # The reading end notices that the writing process is gone, however it ended.
        self._alive, self._life = os.pipe()

    def run(self) -> int:
        """Serve; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        listener = self._config.bind_socket()
        gc.collect()
        gc.freeze()  # a collection would copy memory pages that the processes share
        for _ in range(self._count):
            self._start(listener)
        status = 0
        while self._started:
            process, _ = os.wait()
            lived = time.monotonic() - self._started.pop(process, 0.0)
            if self._is_stopping:
                continue
            if lived > _MIN_LIFE_SECONDS:
                self._start(listener)
            else:
                status = 1
                self._stop()
        return status

    def _stop(self, *_: object) -> None:
        self._is_stopping = True
        for process in self._started:
            os.kill(process, signal.SIGTERM)

    def _start(self, listener: socket.socket) -> None:
        process = os.fork()
        if process == 0:
            _run(lambda: self._serve(listener))
        self._started[process] = time.monotonic()

    def _serve(self, listener: socket.socket) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.close(self._life)
        threading.Thread(target=self._end_with_parent, name="parent", daemon=True).start()
        Server(self._config).run(sockets=[listener])

    def _end_with_parent(self) -> None:
        os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)
