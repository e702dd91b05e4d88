"""Plans, prices and packages: what can be said of a deployment without an account."""

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from legibly import errors
from legibly.cli import cloud
from legibly.cloud import package, plan, price_list, prices


@pytest.mark.parametrize(
    "name", ["", "a", "Legibly", "legibly_1", "9lives", "-x-", "x" * 30, "a.b"]
)
def test_a_name_that_no_bucket_could_have_is_refused(name: str) -> None:
    """Before anything is built or asked."""
    with pytest.raises(errors.Invalid, match="stack"):
        plan.Plan(stack=name)


def test_a_retry_before_the_time_out_is_refused() -> None:
    """Otherwise pictures would be read twice at the same time."""
    with pytest.raises(errors.Invalid, match="RetrySeconds"):
        plan.Plan(parameters=(("FunctionSeconds", "60"), ("RetrySeconds", "30")))


def test_an_idle_deployment_without_servers_costs_next_to_nothing() -> None:
    """Size none: alarms only; the cost of pictures grows with them; servers are the larger part at
    size small.
    """
    idle = prices.estimate(size="none", classifier="function", pictures=0)
    assert prices.total(idle) < 1
    small = prices.estimate(size="small", classifier="function", pictures=10_000)
    scale = prices.estimate(size="scale", classifier="servers", pictures=10_000)
    assert prices.total(idle) < prices.total(small) < prices.total(scale)
    million, half = (
        prices.estimate(size="none", classifier="function", pictures=n)
        for n in (1_000_000, 500_000)
    )
    assert prices.total(million) - prices.total(half) == pytest.approx(
        prices.total(half) - prices.total(idle)
    )


def test_synth_tells_what_and_how_much() -> None:
    """Steps and a dated estimate; `--json` prints nothing else; `--template` prints the template
    itself.
    """
    message = CliRunner().invoke(
        cloud.command, ["synth", "--size", "scale", "--email", "a@b.example"]
    )
    assert message.exit_code == 0
    assert "PostgreSQL" in message.output
    assert price_list.table().as_of in message.output
    data = json.loads(CliRunner().invoke(cloud.command, ["synth", "--json"]).output)
    assert data["total"] == pytest.approx(sum(line["dollars"] for line in data["lines"]), abs=0.05)
    template = CliRunner().invoke(cloud.command, ["synth", "--template"]).output
    assert template == plan.template()


def test_without_credentials_one_line_says_so(tmp_path: Path) -> None:
    """No account, no traceback: what is missing and how to mend it."""
    command = [sys.executable, "-m", "legibly", "cloud", "status", "--region", "us-east-1"]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "aws configure" in done.stderr


def test_the_functions_zip_has_every_folder_that_the_function_imports() -> None:
    """A module outside the folders that are packed would fail at the first delivery."""
    code = "import sys, legibly.aws_lambda; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = [name.split(".") for name in done.stdout.split() if name.startswith("legibly.")]
    root = Path(package.__file__).parents[1]
    folders = {parts[1] for parts in modules if (root / parts[1]).is_dir()}
    assert folders <= set(package.FUNCTION_FOLDERS)


def test_the_wheel_is_the_package_and_always_the_same(tmp_path: Path) -> None:
    """Built twice it has the same bytes; it holds the package and its model."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = package.wheel(tmp_path / "a")
    second = package.wheel(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    names = set(zipfile.ZipFile(first).namelist())
    assert {
        "legibly/aws_lambda.py",
        "legibly/packs/digits/model.onnx",
        "legibly/web/app.py",
    } <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_servers_archive_pins_everything(tmp_path: Path) -> None:
    """A wheel of ours and of everything that it needs, each with its version and hash."""

    def download(requirements: list[str], folder: Path) -> None:
        for requirement in requirements:
            name, _, version = requirement.partition("==")
            (folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl").write_text(name)

    archive = package.web_archive(tmp_path, download=download)
    with tarfile.open(archive) as opened:
        wheels = [name for name in opened.getnames() if name.startswith("wheels/")]
        pins = opened.extractfile("requirements.txt").read().decode().splitlines()  # type: ignore[union-attr]
    assert len(wheels) == len(pins)
    assert all("--hash=sha256:" in pin for pin in pins)
    assert {"legibly", "fastapi", "onnxruntime", "boto3", "psycopg", "pyjwt"} <= {
        pin.partition("==")[0] for pin in pins
    }
    assert all("==" in pin for pin in pins)
    assert not {"pytest", "torch", "mypy"} & {pin.partition("==")[0] for pin in pins}


def test_synth_shows_a_range_and_what_costs_most() -> None:
    """The same number of drawings and of photographs, and the three largest items."""
    words = ["synth", "--size", "none", "--pictures", "1000000"]
    text = CliRunner().invoke(cloud.command, words).output
    low, high = (
        prices.total(
            prices.estimate(size="none", classifier="function", pictures=10**6, image=image)
        )
        for image in (prices.DRAWING, prices.PHOTOGRAPH)
    )
    assert f"{low:.2f}  if all are drawings" in text
    assert f"{high:.2f}  if all are photographs" in text
    assert low < high / 10
    assert "largest: bucket: pictures of 12 months; bucket: requests; function" in text
