"""The command: checks the settings, finds the port, and starts the server."""

import contextlib
import json
import os
import socket
import sys
import tempfile
from typing import Any

import click
import uvicorn

from legibly import wiring
from legibly.asgi import FLAGS
from legibly.cli import options
from legibly.cli.serve import memory, processes
from legibly.errors import Conflict, Invalid
from legibly.settings import Settings
from legibly.web.api import prometheus

KEEP_ALIVE_SECONDS = 130
"""Longer than load balancers keep an idle connection, or some requests would get a 502."""
_APPLICATION = "legibly.asgi:create"
_SERVED = {
    "factory": True,
    "access_log": False,
    "timeout_graceful_shutdown": 5,
    "timeout_keep_alive": KEEP_ALIVE_SECONDS,
}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Number of processes. Default: one per core, four at most; 1 with accounts.",
)
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE.")
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
@click.option(
    "--log-level", default="warning", show_default=True, help="debug, info, warning or error."
)
def command(host: str, port: int, workers: int | None, log_level: str, **flags: str | None) -> None:
    """Serve the web app and the API, and classify new images. Stop with Ctrl+C."""
    settings = options.settings(**flags)
    if host not in _LOOPBACK:
        _beyond(settings, flags)
        settings = options.settings(**flags)
    port = _free(host, port)
    count = workers or _default_workers(settings)
    flags["threads"] = str(settings.threads or max(1, min(4, _cores() // count)))
    named = {name: value for name, value in flags.items() if value is not None}
    os.environ[FLAGS] = json.dumps(named)
    memory.limit_arenas()
    place = f"Legibly is at http://{'localhost' if host in _LOOPBACK else host}:{port}"
    served: dict[str, Any] = {**_SERVED, "host": host, "port": port, "log_level": log_level}
    if count > 1 and processes.CAN_FORK:
        processes.check(lambda: _prepare(settings, count))
        click.echo(place, err=True)
        config = uvicorn.Config(_APPLICATION, **served)
        with tempfile.TemporaryDirectory(prefix="legibly-metrics-") as folder:
            prometheus.share_counts(folder)
            status = processes.Processes(config, count=count).run()
        sys.exit(status)
    _prepare(settings, count)
    click.echo(place, err=True)
    if count > 1:
        uvicorn.run(_APPLICATION, workers=count, **served)
        return
    with contextlib.suppress(KeyboardInterrupt):
        processes.Server(uvicorn.Config(_APPLICATION, **served)).run()


def _prepare(settings: Settings, workers: int) -> None:
    """Check everything and create missing files. Raises LegiblyError."""
    if settings.accounts == "on":
        wiring.require_accounts(settings)
    wiring.begin(settings, workers=workers)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if processes.CAN_FORK else os.cpu_count() or 1


def _default_workers(settings: Settings) -> int:
    """One process per core, if processes can share the work.

    With accounts only one, since each process counts rate limits for itself.
    """
    in_memory = "memory:" in settings.store or ":memory:" in settings.database
    if in_memory or settings.accounts == "on" or not processes.CAN_FORK:
        return 1
    return min(4, _cores())


def _beyond(settings: Settings, flags: dict[str, str | None]) -> None:
    """Require accounts if others can connect and no proxy checks sign-ins. Raises Invalid."""
    if settings.accounts == "auto":
        flags["accounts"] = "on"
    if settings.accounts == "off":
        remedy = "If a proxy in front checks sign-ins, set LEGIBLY_ACCOUNTS=elsewhere."
        raise Invalid("accounts are off, but other machines can connect.", remedy=remedy)
    if settings.accounts == "elsewhere":
        warning = (
            "Warning: sign-in is off: anyone who can connect to this port may see and delete"
            " everything."
        )
        click.secho(warning, err=True, fg="yellow")


def _free(host: str, port: int) -> int:
    """Return the port if it is free. Raises Conflict, before anything heavy is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"cannot listen on this address: {error.strerror}."
            remedy = f"Choose another: legibly serve --port {port + 1}."
            raise Conflict(message, where=f"{host}:{port}", remedy=remedy) from error
        return int(probe.getsockname()[1])
