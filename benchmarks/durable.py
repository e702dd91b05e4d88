"""The durable path against servers that keep nothing, alternating in one run; writes RESULTS.md.

    python benchmarks/durable.py [--rounds 10] [--seconds 4] [--workers N] [--out RESULTS.md]

Ours stores each picture, writes its reading record and its index row, and then answers. The peers
only read: the barest ASGI application, LitServe and BentoML around the same reader, and Flask with
PyTorch, which shrinks the picture and finds nothing in it; each has as many processes, the latter
three in environments of their own in the user's cache folder. They run at the same time and are
asked in turn, some seconds each; ratios are of the same round, so that a slow moment of the machine
meets all. Processor time is that of all processes of a server. Crowds of clients are sent to ours
alone, once, each client with its next picture as soon as it has an answer: beyond what may wait,
the answer is 503 with `Retry-After`.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import os
import platform
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import peer_servers
import serve
from peer_servers import Peer

import legibly

HERE = Path(__file__).parent
CROWDS = (64, 256, 1600)
Row = dict[str, float]


@dataclass
class Answers:
    """What came back: how long each accepted picture took, how many of them were not read yet when
    their sender had waited long enough, and how many were refused, by how.
    """

    milliseconds: list[float] = field(default_factory=list)
    pending: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: int) -> float:
        """The milliseconds that so many in a hundred accepted pictures took at most."""
        return statistics.quantiles(self.milliseconds, n=100)[share - 1]


async def load(port: int, sent: bytes, *, clients: int, seconds: float) -> Answers:
    """Send from so many clients for so long."""
    answers = Answers()
    began = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < began + seconds:
            writer.write(sent)
            status, retry_after = await _answer(reader)
            if status in (200, 202):
                answers.pending += status == 202
                answers.milliseconds.append((time.perf_counter() - start) * 1000)
                continue
            if not retry_after:
                raise RuntimeError(f"{status} without Retry-After")
            answers.refused[f"{status}, Retry-After {retry_after}"] += 1
            await asyncio.sleep(1)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status of an answer, and when it asks to try again."""
    status = int((await reader.readline()).split()[1])
    headers = {}
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    await reader.readexactly(int(headers.get("content-length", "0")))
    return status, headers.get("retry-after", "")


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Ask until the server answers. Raises RuntimeError where it ends, or after two minutes."""
    for _ in range(6000):
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.02)
            if process.poll() is not None:
                break
        else:
            return
    raise RuntimeError(f"{url} does not answer")


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[tuple[int, float]]:
    """The server in an empty folder: its process, and how many seconds it took to be ready."""
    # Not in /tmp: where many files were deleted in the last minutes, ext4 takes up to 1 ms more
    # for each new one.
    peer_servers.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=peer_servers.CACHE) as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            peer.command,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{peer.port}{peer.probe}", process)
            yield process.pid, time.perf_counter() - began
        finally:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves processes behind


def processor_seconds(session: int) -> float:
    """The processor time of all processes of a server: of its session, or children of its first
    process, since BentoML's have sessions of their own.
    """
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if session in (int(fields[1]), int(fields[3])):
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(peer: Peer, session: int, seconds: float) -> Row:
    """One round of one server."""
    row: Row = {}
    lone = asyncio.run(load(peer.port, peer.request, clients=1, seconds=seconds / 2))
    row["one_client_p50_ms"] = lone.percentile(50)
    before = processor_seconds(session)
    answers = asyncio.run(load(peer.port, peer.request, clients=16, seconds=seconds))
    row["images_per_s"] = answers.rate
    row["p50_ms"] = answers.percentile(50)
    computed = processor_seconds(session) - before
    row["processor_ms"] = computed * 1000 / len(answers.milliseconds)
    row["memory_mb"] = serve.megabytes(session)
    return row


def spread(values: Sequence[float]) -> str:
    """The median with the smallest and the largest value."""
    digits = 2 if max(values) < 10 else 0
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


def crowded(peer: Peer, seconds: float) -> list[str]:
    """The rows of a table: what crowds of clients get from a server."""
    lines = []
    for clients in CROWDS:
        answers = asyncio.run(load(peer.port, peer.request, clients=clients, seconds=seconds))
        refused = "; ".join(f"{count} × {how}" for how, count in answers.refused.items())
        cells = [str(clients), f"{answers.rate:.0f}"]
        cells += [f"{answers.percentile(share) / 1000:.2f}" for share in (50, 99)]
        cells += [str(answers.pending), refused or "none"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def document(rows: dict[str, list[Row]], crowds: list[str], arguments: argparse.Namespace) -> str:
    """RESULTS.md."""
    names = ("images_per_s", "processor_ms", "p50_ms", "one_client_p50_ms", "memory_mb")
    lines = ["# Results", "", (__doc__ or "").split("\n\n", 2)[2].strip(), ""]
    command = f"python benchmarks/durable.py --rounds {arguments.rounds}"
    command += f" --seconds {arguments.seconds:g} --workers {arguments.workers}"
    # What is installed may be a link to newer source.
    versions = f"legibly {legibly.__version__} · " + " · ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("uvicorn", "fastapi", "onnxruntime", "numpy")
    )
    installed = [
        name.replace("==", " ")
        for name in (peer_servers.LITSERVE, peer_servers.BENTOML, *peer_servers.FLASK[:3])
    ]
    busy = f"load {os.getloadavg()[0]:.1f} at the end (that of this run included)"
    lines += [
        f"- `{command}`",
        f"- {time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {busy}",
        f"- Python {platform.python_version()} · {versions} · {' · '.join(installed)}",
        "- one 280×280 PNG of a drawn digit; the client runs on the same cores",
        "",
        "Medians of the rounds (smallest … largest):",
        "",
        "| server | 16 clients, images/s | processor ms each | p50, ms | one client p50, ms | MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for server, entries in rows.items():
        cells = [spread([row[name] for row in entries]) for name in names]
        lines.append(f"| {server} | {' | '.join(cells)} |")
    lines += ["", "| in the same round | images/s | processor time |", "| --- | --- | --- |"]
    ours = rows["legibly serve"]
    for server, entries in rows.items():
        if entries is not ours:
            rates = ratios(ours, entries, "images_per_s")
            times = ratios(entries, ours, "processor_ms")
            lines.append(f"| legibly serve against {server} | {spread(rates)} | {spread(times)} |")
    lines += ["", "| clients | images/s | p50, s | p99, s | not read after 30 s | refused |"]
    lines.append("| --- " * 6 + "|")
    return "\n".join([*lines, *crowds]) + "\n"


def ratios(first: Sequence[Row], second: Sequence[Row], name: str) -> list[float]:
    """How many times the one is the other, round by round."""
    return [left[name] / right[name] for left, right in zip(first, second, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--port", type=int, default=18231)
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    arguments = parser.parse_args()
    entries = peer_servers.peers(arguments.port, arguments.workers)
    rows: dict[str, list[Row]] = {peer.name: [] for peer in entries}
    with contextlib.ExitStack() as stack:
        started = [(peer, *stack.enter_context(running(peer))) for peer in entries]
        for peer, session, _ in started:
            measure(peer, session, arguments.seconds)  # warm
        for _ in range(arguments.rounds):
            for peer, session, ready in started:
                row = {"ready_s": ready, **measure(peer, session, arguments.seconds)}
                rows[peer.name].append(row)
                print(peer.name, {key: round(value, 2) for key, value in row.items()}, flush=True)
        crowds = crowded(entries[0], 2 * arguments.seconds)
    arguments.out.write_text(document(rows, crowds, arguments), encoding="utf-8")
    print(arguments.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
