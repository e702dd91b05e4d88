"""One emulated AWS account a module, and the deployment in it that a user's command made."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator as emulators


@pytest.fixture(scope="session")
def emulator() -> Iterator[emulators.Emulator]:
    """An emulated AWS account."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        emulators.running(Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def deployment(
    emulator: emulators.Emulator, tmp_path_factory: pytest.TempPathFactory
) -> emulators.Deployment:
    """The whole system, deployed by the command that a user types; only waits and retries are
    shortened.
    """
    short = [f"-p{name}={value}" for name, value in emulators.SHORT]
    done = emulator.legibly("cloud", "deploy", "--size", "small", "--no-wait", *short)
    stack = emulator.client("cloudformation").describe_stacks(StackName="legibly")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    emulator.limit_functions()
    built = _code(emulator, outputs, tmp_path_factory.mktemp("code"))
    return emulators.Deployment(emulator, outputs, done.stdout.strip(), done.stderr, built)


def _code(emulator: emulators.Emulator, outputs: dict[str, str], folder: Path) -> tuple[Path, Path]:
    s3 = emulator.client("s3")
    bucket = outputs["BucketName"].replace("legibly-", "legibly-code-", 1)
    for thing in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        content = s3.get_object(Bucket=bucket, Key=thing["Key"])["Body"].read()
        (folder / thing["Key"].partition("/")[0]).write_bytes(content)
    return folder / "function", folder / "web"
