"""`legibly doctor`: checks the installation, and says how to get what is missing."""

import json
import secrets
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import click

from legibly import __version__, object_keys, wiring
from legibly.cli import options
from legibly.errors import LegiblyError
from legibly.settings import Settings
from legibly.vision.ink import native


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; without a `needed` one the command fails."""

    name: str
    fine: bool
    detail: str
    needed: bool = True

    def to_json(self) -> dict[str, str | bool]:
        """The finding in the document of `--json`."""
        return {"what": self.name, "fine": self.fine, "detail": self.detail, "needed": self.needed}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, as_json: bool) -> None:
    """Check the installation; exits with 1 if something required is missing."""
    settings = options.settings()
    findings = [*_needed(settings), *_extras()]
    if as_json:
        document = {
            "version": __version__,
            "settings": settings.masked(),
            "findings": [finding.to_json() for finding in findings],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(settings, findings)
    sys.exit(int(any(not finding.fine and finding.needed for finding in findings)))


def _needed(settings: Settings) -> list[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        Finding("Python", sys.version_info >= (3, 11), python),
        _try("object store", lambda: _look(settings)),
        _try(
            "database", lambda: f"answers; {sum(wiring.index(settings).counts().values())} images"
        ),
        _try("model", lambda: "{0.name} {0.version}".format(wiring.reader(settings).model)),
    ]


def _look(settings: Settings) -> str:
    store = wiring.store(settings)
    next(store.list("images/"), None)
    key = object_keys.deleted(secrets.token_hex(16))  # a prefix that is cleared anyway
    store.create(key, b"")
    store.remove([key])
    return f"{settings.masked()['store']} answers and is writable"


def _try(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, fine=True, detail=check())
    except LegiblyError as error:
        return Finding(name, fine=False, detail=str(error))


def _extras() -> list[Finding]:
    modules = {"aws": "boto3", "postgres": "psycopg", "oidc": "jwt"}
    modules |= {"spark": "pyspark", "train": "torch"}
    java = shutil.which("java")
    extras = [
        (f"extra {extra}", find_spec(module) is not None, f"pip install 'legibly[{extra}]'")
        for extra, module in modules.items()
    ]
    speed = "yes" if native.kernels and native.resizes else "no: pictures are read more slowly"
    extras.append(("native kernels", speed == "yes", speed))
    extras.append(("Java (for Spark)", java is not None, java or "install a Java 17 runtime"))
    return [Finding(*extra, needed=False) for extra in extras]


def _print(settings: Settings, findings: list[Finding]) -> None:
    click.echo(f"Legibly {__version__}\n\nSettings")
    for name, value in settings.masked().items():
        click.echo(f"  {name:<18} {value if value != '' else '–'}")
    click.echo("\nChecks")
    for finding in findings:
        sign = "ok     " if finding.fine else "MISSING" if finding.needed else "absent "
        click.echo(f"  {sign}  {finding.name}: {finding.detail}")
