"""The servers that `durable.py` compares, each peer in an environment of its own."""

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import serve

import legibly

HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "legibly-benchmarks"
LITSERVE = "litserve==0.2.19"
BENTOML = "bentoml==1.4.40"
FLASK = ("flask==3.1.3", "gunicorn==27.0.1", "torch==2.13.0", "pillow==13.0.0", "numpy==2.4.6")
BOUNDARY = b"b0unda2y"


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


def environment(*packages: str, with_reader: bool = False) -> str | None:
    """The Python of an environment with these packages, made where it is missing; None where it
    cannot be. With the reader it has what Legibly needs too.
    """
    folder = CACHE / "-".join(packages).replace("=", "-")[:100]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "-q", *packages]
        if subprocess.run(install, check=False).returncode:
            return None
        (folder / "ready").touch()
    if with_reader:
        site = next(folder.glob("lib/python*/site-packages"))
        paths = [str(Path(legibly.__file__).parents[1])]  # may be a link to the source
        paths += [path for path in sys.path if path.endswith("site-packages")]
        (site / "z_reader.pth").write_text("\n".join(paths))
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
        _litserve(picture, port + 2, workers),
        _bentoml(picture, port + 4, workers),
        _flask(picture, port + 3, workers),
    ]
    return [entry for entry in entries if entry]


def _litserve(picture: bytes, port: int, workers: int) -> Peer | None:
    python = environment(LITSERVE, with_reader=True)
    if python is None:
        return None
    program = [python, str(HERE / "peers" / "litserve_reader.py"), str(port), str(workers)]
    media_type = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    return Peer(
        "LitServe", program, request("/predict", form(picture), media_type), "/health", port
    )


def _bentoml(picture: bytes, port: int, workers: int) -> Peer | None:
    python = environment(BENTOML, with_reader=True)
    if python is None:
        return None
    program = ["env", f"WORKERS={workers}", "BENTOML_DO_NOT_TRACK=True"]
    program += [python, "-m", "bentoml", "serve", "bento_reader:Reader", "--quiet"]
    program += ["--working-dir", str(HERE / "peers"), "--port", str(port)]
    return Peer("BentoML", program, request("/read", picture, "image/png"), "/readyz", port)


def _flask(picture: bytes, port: int, workers: int) -> Peer | None:
    python = environment(*FLASK)
    if python is None:
        return None
    program = [python, "-m", "gunicorn", "--chdir", str(HERE / "peers"), "flask_torch:app"]
    program += ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    # Threads, since a gunicorn worker without them closes each connection.
    program += ["--threads", str(os.cpu_count() or 1), "--keep-alive", "60"]
    return Peer("Flask and PyTorch", program, request("/", picture, "image/png"), "/", port)
