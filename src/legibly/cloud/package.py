"""Builds the uploads without Docker: the function's zip, the servers' archive, the Spark job.

All are built from the installed package with the installed versions, so the cloud runs the code
that ran here. Unchanged input gives the same bytes, so the hash of a file is its version.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata, util
from pathlib import Path

import legibly
from legibly import errors

PYTHON = "3.12"
"""The Python of the function and of the servers; see `Runtime` in `deploy/legibly.yaml`."""
# Both are needed: onnxruntime is built for the newer of the two, others for the older.
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64")
FUNCTION_NEEDS = ("numpy", "obstore", "onnxruntime", "pi-heif", "pillow")
TRACE_NEEDS = ("opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk")
"""What the function needs beside `FUNCTION_NEEDS` to send traces."""
JOB_ARCHIVE = "legibly-job.zip"
JOB_MODULES = ("__init__.py", "errors.py", "object_keys.py")
"""What the Spark job needs beside `JOB_FOLDERS`."""
JOB_FOLDERS = ("accuracy", "records", "statistics")
LIBRARY = "native.linux-x86_64.so"
"""The reader's kernels for `PLATFORMS`: those of another system are not packed."""
FUNCTION_FOLDERS = (
    *("evaluation", "images", "index", "ingest", "labels", "packs", "pipeline"),
    *("records", "statistics", "store", "telemetry", "vision"),
)
"""Folders of the package that the function needs, beside the modules at its top."""

# Parts of the libraries that are not needed at run time.
_DROP_FOLDERS = {
    "tests",
    "test",
    "testing",
    "include",
    "_pyinstaller",
    "tools",
    "f2py",
    "__pycache__",
    "bin",
}
_DROP_FOLDERS |= {"transformers", "quantization"}  # onnxruntime's converters
_DROP_LIBRARY = "libonnxruntime.so"  # for C programs: Python's module holds the same code
_DROP_SUFFIXES = (".pyi", ".pyc", ".h", ".hpp", ".c", ".cpp", ".pyx", ".pxd", ".a")
_KEEP = {"numpy/testing", "numpy/_core/tests"}  # numpy imports the first lazily for everybody
Download = Callable[[list[str], Path], None]
_EPOCH = (2026, 1, 1, 0, 0, 0)
MAX_ZIPPED_BYTES = 60_000_000
MAX_UNZIPPED_BYTES = 250 * 2**20


def function_zip(folder: Path, *, traces: bool = False) -> Path:
    """Build the function's zip; returns its path. Raises Invalid if it is too large for Lambda."""
    staging = folder / "function"
    shutil.rmtree(staging, ignore_errors=True)
    _install(_pinned((*FUNCTION_NEEDS, *(TRACE_NEEDS if traces else ()))), staging)
    for name, path in _package_files():
        if "/" not in name or _top_folder(name) in FUNCTION_FOLDERS:
            target = staging / "legibly" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    files = {
        path.relative_to(staging).as_posix(): path for path in staging.rglob("*") if path.is_file()
    }
    files = {name: path for name, path in files.items() if _is_needed(name)}
    files |= {path.relative_to(staging).as_posix(): path for path in _bytecode(staging)}
    unzipped = sum(path.stat().st_size for path in files.values())
    if unzipped > MAX_UNZIPPED_BYTES:
        raise errors.Invalid(
            f"has {unzipped} bytes unzipped; Lambda allows {MAX_UNZIPPED_BYTES}.",
            where="function zip",
        )
    target = folder / "function.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            _add(archive, name, files[name].read_bytes())
    if target.stat().st_size > MAX_ZIPPED_BYTES:
        size = target.stat().st_size
        raise errors.Invalid(
            f"has {size} bytes zipped; {MAX_ZIPPED_BYTES} are allowed.", where="function zip"
        )
    return target


def web_archive(folder: Path, *, download: Download | None = None, traces: bool = False) -> Path:
    """Build the servers' archive: our wheel and every other one, with a hash for each.

    Servers install from it alone, so that a start depends on no package index. `download` puts
    the wheels of requirements into a folder; by default pip does.
    """
    wheels = folder / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    wheel(wheels)
    extras = {"aws", "oidc", "otel"} if traces else {"aws", "oidc"}
    versions = dict(closure("legibly", extras=extras))
    requirements = [f"{name}=={versions[name]}" for name in versions if name != "legibly"]
    (download or _download)(requirements, wheels)
    target = folder / "web.tar.gz"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _append(archive, "requirements.txt", _requirements(wheels).encode())
        for path in sorted(wheels.iterdir()):
            _append(archive, f"wheels/{path.name}", path.read_bytes())
    target.write_bytes(gzip.compress(content.getvalue(), compresslevel=0, mtime=0))
    return target


def _requirements(wheels: Path) -> str:
    """One line per wheel for pip's `--require-hashes`."""
    lines = []
    for path in sorted(wheels.iterdir()):
        name, number = path.name.split("-")[:2]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{name.replace('_', '-')}=={number} --hash=sha256:{digest}\n")
    return "".join(lines)


def job(folder: Path) -> tuple[Path, Path]:
    """Write the Spark job into a folder: its entry point, and the package for `--py-files`."""
    script = folder / "spark_job.py"
    target = folder / JOB_ARCHIVE
    files = dict(_package_files())
    script.write_bytes(files["accuracy/engines/spark_job.py"].read_bytes())
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in files.items():
            if name in JOB_MODULES or _top_folder(name) in JOB_FOLDERS:
                _add(archive, f"legibly/{name}", path.read_bytes())
    return script, target


def wheel(folder: Path) -> Path:
    """Write a wheel of the installed package, local edits included, without a build backend."""
    distribution = metadata.distribution("legibly")
    info = f"legibly-{distribution.version}.dist-info"
    files = {f"legibly/{name}": path.read_bytes() for name, path in _package_files()}
    files[f"{info}/METADATA"] = (distribution.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (distribution.read_text("entry_points.txt") or "").encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: legibly\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(files.items())]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    target = folder / f"legibly-{distribution.version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            _add(archive, name, files[name])
    return target


def version(path: Path) -> str:
    """The first twelve hex digits of a file's hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def closure(name: str, *, extras: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Name and version of an installed distribution and of all its requirements, each once."""
    from packaging.requirements import Requirement  # comes with onnxruntime

    todo = [(name, frozenset(extras))]
    visited: set[tuple[str, frozenset[str]]] = set()
    while todo:
        current, current_extras = todo.pop()
        distribution = _installed(current)
        canonical = current.lower().replace("_", "-")
        if (canonical, current_extras) in visited:
            continue
        if not any(name == canonical for name, _ in visited):
            yield canonical, distribution.version
        visited.add((canonical, current_extras))
        for text in distribution.requires or []:
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in current_extras] or [{"extra": ""}]
            if needed.marker is None or any(
                needed.marker.evaluate(environment) for environment in environments
            ):
                todo.append((needed.name, frozenset(needed.extras)))


def _package_files() -> Iterator[tuple[str, Path]]:
    root = Path(legibly.__file__).parent
    for path in sorted(root.rglob("*")):
        foreign = path.suffix == ".so" and path.name != LIBRARY
        if path.is_file() and "__pycache__" not in path.parts and not foreign:
            yield path.relative_to(root).as_posix(), path


def _top_folder(name: str) -> str:
    return name.partition("/")[0]


def _is_needed(name: str) -> bool:
    parts = name.split("/")
    if any("/".join(parts[: n + 1]) in _KEEP for n in range(len(parts))):
        return "tests" not in parts
    if parts[-1].startswith(_DROP_LIBRARY):
        return False
    return not (set(parts[:-1]) & _DROP_FOLDERS or name.endswith(_DROP_SUFFIXES))


def _pinned(names: Iterable[str]) -> list[str]:
    return [f"{name}=={_installed(name).version}" for name in names]


def _installed(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        extra = "otel" if name.startswith("opentelemetry") else "aws"
        remedy = f"Install it here first: pip install 'legibly[{extra}]'."
        raise errors.Invalid(
            "is not installed, so its version is unknown.", where=name, remedy=remedy
        ) from None


def _install(requirements: list[str], target: Path) -> None:
    only = ["--only-binary=:all:", "--python-version", PYTHON]
    if util.find_spec("pip"):
        _pip("install", "--no-compile", "--target", str(target), *only, *requirements)
    else:
        words = ["pip", "install", "-q", "--python-platform", "x86_64-manylinux_2_28"]
        _run([_uv(), *words, "--target", str(target), *only, *requirements])


def _download(requirements: list[str], target: Path) -> None:
    if not util.find_spec("pip"):
        raise errors.Invalid(
            "pip is needed to fetch wheels.", where="packaging", remedy="Install pip here."
        )
    only = ["--only-binary=:all:", "--python-version", PYTHON]
    _pip("download", "--no-deps", "-d", str(target), *only, *requirements)


def _pip(verb: str, *arguments: str) -> None:
    platforms = [flag for platform in PLATFORMS for flag in ("--platform", platform)]
    quiet = ["-q", "--disable-pip-version-check", "--implementation", "cp"]
    _run([sys.executable, "-m", "pip", verb, *quiet, *platforms, *arguments])


# Run by the function's Python: compiles the modules that the function imports; prints their paths.
_COMPILE = """
import pathlib, py_compile, sys
root = pathlib.Path(sys.argv[1])
import legibly.aws_lambda
for module in list(sys.modules.values()):
    source = getattr(module, "__file__", None) or ""
    if source.endswith(".py") and source.startswith(str(root)):
        where = "/var/task/" + str(pathlib.Path(source).relative_to(root))
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        print(py_compile.compile(source, dfile=where, doraise=True, invalidation_mode=mode))
"""


def _bytecode(staging: Path) -> list[Path]:
    """Compile what the function imports; empty if no Python of its version is installed.

    Lambda cannot write to its code folder: without this, compiling takes half of a cold start.
    """
    python = _python()
    if python is None:
        return []
    environ = {
        **os.environ,
        "PYTHONPATH": str(staging),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
    command = [python, "-s", "-c", _COMPILE, str(staging)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise errors.Invalid(
            f"cannot be imported: {reason[-1] if reason else 'no reason'}", where="function zip"
        )
    return [Path(line) for line in done.stdout.splitlines()]


def _python() -> str | None:
    """An interpreter of the function's version."""
    others = sorted(
        str(path) for path in Path.home().glob(f".pyenv/versions/{PYTHON}.*/bin/python")
    )
    for name in (sys.executable, shutil.which(f"python{PYTHON}"), *others):
        if name and _version(name) == PYTHON:
            return name
    return None


def _version(python: str) -> str:
    code = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()


def _uv() -> str:
    uv = shutil.which("uv")
    if uv is None:
        raise errors.Invalid(
            "neither pip nor uv is here.",
            where="packaging",
            remedy="Install pip: python -m ensurepip.",
        )
    return uv


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise errors.Unavailable(
            reason[-1] if reason else "failed without a word.", where=" ".join(command[1:4])
        )


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, compresslevel=9)


def _append(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o644
    archive.addfile(entry, io.BytesIO(data))


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
