"""One emulated AWS account a module, and the deployment in it that a user's command made."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator as emulators


@pytest.fixture(scope="session")
def emulator() -> Iterator[emulators.Emulator]:
    """An emulated AWS account."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, emulators.running(Path(folder)) as running:
        yield running


@pytest.fixture(scope="session")
def deployment(emulator: emulators.Emulator) -> emulators.Deployment:
    """The whole system, deployed by the command that a user types; only waits and retries are shortened."""
    short = [f"-p{name}={value}" for name, value in emulators.SHORT]
    done = emulator.legibly("cloud", "deploy", "--size", "small", "--no-wait", *short)
    stack = emulator.client("cloudformation").describe_stacks(StackName="legibly")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    functions = emulator.client("lambda")  # fifty of them at once would starve each other on two cores
    [mapping] = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 2})
    return emulators.Deployment(emulator, outputs, done.stdout.strip(), done.stderr)
