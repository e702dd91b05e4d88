"""What is handed out: the wheel, the container's files, the workflow, the version."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
import venv
from pathlib import Path
from typing import Any

import httpx
import pytest

import legibly
import services
from legibly.cloud import package
from legibly.settings import Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMAGE_FILES = ("Dockerfile", "compose.yaml", "compose.services.yaml")


def load(name: str) -> dict[str, Any]:
    """A YAML file of the repository."""
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with cfn-lint: make test-all")
    return dict(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))


def instructions(name: str = "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, continued lines joined."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_wheel_serves_from_an_empty_environment(tmp_path: Path) -> None:
    """Installed without the source tree, it starts, answers, and has its templates and model."""
    wheel = package.wheel(tmp_path)
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True)
    target = next(environment.glob("lib/python*/site-packages"))
    # The dependencies come from this environment, our own package does not.
    dependencies = Path(next(path for path in sys.path if path.endswith("site-packages")))
    (target / "dependencies.pth").write_text(f"{dependencies}\n", encoding="utf-8")
    for path in target.glob("*.pth"):
        assert "src" not in path.read_text(encoding="utf-8")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    port = services.free_port()
    command = [str(python), "-m", "legibly", "serve", "--port", str(port)]
    log = tmp_path / "serve.log"
    with services.running(command, log=log, env=environ, cwd=tmp_path):
        url = f"http://127.0.0.1:{port}"
        _await_ready(url)
        assert httpx.get(url).is_success
    locate = [str(python), "-c", "import legibly; print(legibly.__file__)"]
    imported = subprocess.run(locate, env=environ, capture_output=True, text=True, check=True)
    assert str(target) in imported.stdout


def test_the_version_is_the_changelogs() -> None:
    """The newest release of the changelog is the version of the package."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert releases[-1] == "0.1.0"
    assert PROJECT["version"] == "0.2.0"
    assert set(releases) <= {"0.2.0", "0.1.0"}
    assert PROJECT["urls"]
    assert [name for name in PROJECT["classifiers"] if name.startswith("Programming Language")]
    assert legibly.__version__


def test_the_image_runs_without_root_and_says_how_it_is() -> None:
    """Two stages, base images by name, a numeric user, a health check."""
    lines = instructions()
    stages = [rest for word, rest in lines if word == "FROM"]
    assert len(stages) == 2
    assert all(re.match(r"python:3\.\d+-slim", stage) for stage in stages)
    assert dict(lines)["USER"].isdecimal()
    assert "/healthz" in dict(lines)["HEALTHCHECK"]
    assert lines[-1][0] == "CMD"


def test_the_image_copies_files_that_exist_and_are_not_ignored() -> None:
    """Each COPY from the repository names a path that is there and that .dockerignore lets in."""
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for path in rest.split()[:-1]:
                assert (ROOT / path).exists()
                assert f"!{path}" in allowed


def test_the_images_command_serves(tmp_path: Path) -> None:
    """CMD and HEALTHCHECK of the Dockerfile run here as they stand, but for the port."""
    lines = dict(instructions())
    port = services.free_port()
    command = [
        sys.executable if word == "python" else word.replace("8000", str(port))
        for word in json.loads(lines["CMD"])
    ]
    command[:1] = [sys.executable, "-m", "legibly"]
    check = json.loads(lines["HEALTHCHECK"].partition("CMD ")[2])
    check = [word.replace("8000", str(port)) for word in check]
    app = load("compose.yaml")["services"]["app"]
    environ = {**os.environ, **_filled(app["environment"])}
    log = tmp_path / "serve.log"
    with services.running(command, log=log, env=environ, cwd=tmp_path):
        url = f"http://127.0.0.1:{port}"
        _await_ready(url)
        done = subprocess.run([sys.executable, *check[1:]], check=False, capture_output=True)
        assert done.returncode == 0
        assert httpx.get(f"{url}/login").is_success  # accounts are on beyond the loopback interface


def test_compose_sets_settings_that_exist() -> None:
    """Every LEGIBLY_ variable is a setting, and the settings are valid together."""
    for name in ("compose.yaml", "compose.services.yaml"):
        environ = _filled(load(name)["services"]["app"]["environment"])
        ours = {key: value for key, value in environ.items() if key.startswith("LEGIBLY_")}
        assert Settings.load(environ=ours)


def test_compose_starts_services_in_order() -> None:
    """Each service that another waits for exists, and has the health check that is waited for."""
    defined = load("compose.services.yaml")["services"]
    for service in defined.values():
        for name, rule in service.get("depends_on", {}).items():
            assert name in defined
            if rule["condition"] == "service_healthy":
                assert "healthcheck" in defined[name]
    volumes = load("compose.services.yaml")["volumes"]
    for service in defined.values():
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in volumes


def test_the_app_runs_with_few_rights() -> None:
    """Read-only root file system, no capabilities, no new privileges, reachable from here alone."""
    app = load("compose.yaml")["services"]["app"]
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in app["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in app["ports"])


def test_ci_calls_the_verbs_of_the_makefile() -> None:
    """Every command of the workflow is a make verb that exists; actions are pinned by version."""
    verbs = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    jobs = load(".github/workflows/ci.yml")["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    commands = [shlex.split(step["run"]) for step in steps if "run" in step]
    assert {command[1] for command in commands} >= {"lint", "test", "test-all"}
    for command in commands:
        assert command[0] == "make"
        assert command[1] in verbs
    for step in steps:
        assert "@v" in step.get("uses", "@v")


def test_hooks_run_tools_of_the_environment() -> None:
    """Each hook's command is one that `make lint` has, so that both say the same."""
    for hook in load(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        tool = Path(hook["entry"].split()[0]).name
        assert tool in (ROOT / "Makefile").read_text(encoding="utf-8")


def _await_ready(url: str) -> None:
    services.wait_for(
        lambda: urllib.request.urlopen(f"{url}/readyz", timeout=5), subject="serve", seconds=100
    )


def _filled(environment: dict[str, str]) -> dict[str, str]:
    """The variables as compose fills them in: defaults, and a password where one is required."""

    def value(match: re.Match[str]) -> str:
        return match[2] if match[1] == ":-" else "a long password"

    return {
        name: re.sub(r"\$\{\w+(:-|:\?)([^}]*)\}", value, text) for name, text in environment.items()
    }
