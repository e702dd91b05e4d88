"""`legibly worker`: reads waiting pictures without a web server."""

import signal
import threading
from typing import Any

import click

from legibly import log_format, wiring
from legibly.cli import options
from legibly.ingest.queue_worker import QueueWorker


@click.command("worker")
@click.option(
    "--queue",
    help="SQS queue of S3 events, instead of LEGIBLY_QUEUE; default: the index's pending images.",
)
@click.option("--store", help="Object store, instead of LEGIBLY_STORE.")
@click.option("--database", help="Index, instead of LEGIBLY_DATABASE; not needed with a queue.")
@click.option("--model", help="Model pack, instead of LEGIBLY_MODEL.")
def command(**flags: str | None) -> None:
    """Classify new images until Ctrl+C or SIGTERM; work in progress is finished first."""
    settings = options.settings(**flags)
    if settings.log == "json":
        log_format.use_json()
    worker = wiring.lone_worker(settings)
    stopping = threading.Event()

    def stop(*_: Any) -> None:
        stopping.set()
        if isinstance(worker, QueueWorker):
            worker.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    click.echo(f"reading pictures from {settings.queue or 'the index'}; stop with Ctrl+C", err=True)
    if isinstance(worker, QueueWorker):
        worker.run()
        return
    worker.start()
    stopping.wait()
    worker.stop()
