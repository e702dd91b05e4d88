"""A Spark master that is none ends a command before Spark starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from legibly.accuracy.engines import spark_arguments
from legibly.cli.main import cli


@pytest.mark.parametrize(
    "master",
    [None, "local", "local[*]", "local[4]", "yarn", "spark://host:7077", "spark://a:1,b:2"],
)
def test_every_kind_of_master_passes(master: str | None) -> None:
    """Spark decides the rest."""
    spark_arguments.check_master(master)


@pytest.mark.parametrize("command", ["accuracy", "compact"])
def test_commands_check_the_master_first(command: str, tmp_path: Path) -> None:
    """`legibly accuracy` and `legibly compact` say so without a JVM."""
    folder = f"file://{tmp_path}"
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"image": "a", "predicted": "1", "actual": "1"}\n')
    source = [str(pairs)] if command == "accuracy" else ["--store", folder]
    arguments = [command, *source, "--engine", "spark", "--master", "host:7077"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code != 0
    assert "this is no Spark master" in f"{done.output}{done.exception}"
