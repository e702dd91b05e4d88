"""The durable path against servers that keep nothing, alternating in one run; writes RESULTS.md.

    python benchmarks/durable.py [--rounds 10] [--seconds 4] [--workers N] [--out RESULTS.md]

Ours stores each picture, writes its reading record and its index row, and then answers. The peers
only read: the barest ASGI application, and LitServe (installed into an environment of its own in
the user's cache folder), both around the same reader with as many processes. They run at the same
time and are asked in turn, some seconds each; ratios are of the same round, so that a slow moment
of the machine meets all. Processor time is that of all processes of a server.
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
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import serve

import legibly

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "legibly-benchmarks"
LITSERVE = "litserve==0.2.19"
BOUNDARY = b"b0unda2y"
Row = dict[str, float]


@dataclass(frozen=True)
class Peer:
    """A server: its command, and the request that brings it a picture."""

    name: str
    command: Sequence[str]
    request: bytes
    probe: str
    port: int


def request(path: str, body: bytes, media_type: str) -> bytes:
    """A whole POST request over a connection that stays open."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def form(picture: bytes) -> bytes:
    """The picture as the field `request` of a form."""
    head = b'Content-Disposition: form-data; name="request"; filename="7.png"\r\n'
    head += b"Content-Type: image/png\r\n\r\n"
    return b"--" + BOUNDARY + b"\r\n" + head + picture + b"\r\n--" + BOUNDARY + b"--\r\n"


def litserve_python() -> str | None:
    """The Python of LitServe's environment, made where it is missing; None where it cannot be."""
    folder = CACHE / LITSERVE.replace("=", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", LITSERVE]
        if subprocess.run(install, check=False).returncode:
            return None
        site = next(folder.glob("lib/python*/site-packages"))
        packages = [path for path in sys.path if path.endswith("site-packages")]
        (site / "z_reader.pth").write_text("\n".join(packages))  # our reader and what it needs
        (folder / "ready").touch()
    return str(python)


def peers(port: int, workers: int) -> list[Peer]:
    """The servers to compare, ours first, on ports that follow each other."""
    picture = serve.canvas()
    count = ["--workers", str(workers)]
    bare = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE / "peers"), "barest_asgi:app"]
    bare += [*count, "--no-access-log", "--log-level", "warning", "--port", str(port + 1)]
    ours = [*serve.LEGIBLY, "serve", *count, "--port", str(port)]
    upload = request("/api/images?wait=30", picture, "image/png")
    entries = [
        Peer("legibly serve", ours, upload, "/readyz", port),
        Peer("barest ASGI", bare, request("/", picture, "image/png"), "/", port + 1),
    ]
    if python := litserve_python():
        program = [python, str(HERE / "peers" / "litserve_reader.py"), str(port + 2), str(workers)]
        media_type = f"multipart/form-data; boundary={BOUNDARY.decode()}"
        sent = request("/predict", form(picture), media_type)
        entries.append(Peer("LitServe", program, sent, "/health", port + 2))
    return entries


async def load(port: int, sent: bytes, *, clients: int, seconds: float) -> tuple[float, float]:
    """Send from so many clients for so long; answers a second, and the median in milliseconds."""
    milliseconds: list[float] = []
    ends = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < ends:
            began = time.perf_counter()
            writer.write(sent)
            status = await reader.readline()
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            await reader.readexactly(length)
            if b" 200 " not in status:
                raise RuntimeError(f"{status!r}")
            milliseconds.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return len(milliseconds) / (time.perf_counter() - began), statistics.median(milliseconds)


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
    with tempfile.TemporaryDirectory() as folder:
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
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # LitServe leaves processes behind


def processor_seconds(session: int) -> float:
    """What all processes of a server have computed so far."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(peer: Peer, session: int, seconds: float) -> Row:
    """One round of one server."""
    row: Row = {}
    _, row["one_client_p50_ms"] = asyncio.run(
        load(peer.port, peer.request, clients=1, seconds=seconds / 2)
    )
    before = processor_seconds(session)
    row["images_per_s"], row["p50_ms"] = asyncio.run(
        load(peer.port, peer.request, clients=16, seconds=seconds)
    )
    images = row["images_per_s"] * seconds
    row["processor_ms"] = (processor_seconds(session) - before) * 1000 / images
    row["memory_mb"] = serve.megabytes(session)
    return row


def spread(values: Sequence[float]) -> str:
    """The median with the smallest and the largest value."""
    digits = 2 if max(values) < 10 else 0
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


def document(rows: dict[str, list[Row]], arguments: argparse.Namespace) -> str:
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
    busy = f"load {os.getloadavg()[0]:.1f} at the end (that of this run included)"
    lines += [
        f"- `{command}`",
        f"- {time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {busy}",
        f"- Python {platform.python_version()} · {versions} · {LITSERVE.replace('==', ' ')}",
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
    return "\n".join(lines) + "\n"


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
    entries = peers(arguments.port, arguments.workers)
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
    arguments.out.write_text(document(rows, arguments), encoding="utf-8")
    print(arguments.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
