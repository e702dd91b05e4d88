"""`legibly`: finds the command, turns errors into one line."""

import gc
import importlib
import importlib.util
import os
import sys
from typing import Any

import click

from legibly import __version__
from legibly.errors import LegiblyError

# Command → its one-line help. Each command is `command` in the module of its name, imported only
# when it is called, so that `legibly --help` does not load a network runtime.
_COMMANDS = {
    "serve": "Run the whole system on this machine.",
    "classify": "Read pictures: files, folders, globs, stdin, s3:// URLs.",
    "form": "Describe a form once, and read its fields from scans.",
    "evaluate": "Score a model on labelled pictures.",
    "accuracy": "Compute accuracy from pairs of predicted and true labels.",
    "train": "Train a classifier and write a model pack.",
    "models": "List, show and manage model packs.",
    "worker": "Run the event worker without the web server.",
    "users": "Manage accounts.",
    "tokens": "Manage API tokens.",
    "projects": "Manage projects, each with its own images, labels and accuracy.",
    "purge": "Erase classrooms past their date.",
    "reindex": "Rebuild the database from the object store.",
    "compact": "Merge small record files into partitioned Parquet.",
    "cloud": "Deploy and operate the system on AWS.",
    "status": "Show what is waiting, what failed, and what to do.",
    "doctor": "Check the installation, and show what is missing.",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_available())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _available():
            return None
        # Imported modules stay: collecting garbage while importing takes a tenth of the start.
        gc.disable()
        try:
            command = importlib.import_module(f"legibly.cli.{cmd_name}").command
        finally:
            gc.enable()
        if not isinstance(command, click.Command):
            raise TypeError(f"legibly.cli.{cmd_name}.command is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_available().items()))


def _available() -> dict[str, str]:
    return {
        name: text
        for name, text in _COMMANDS.items()
        if importlib.util.find_spec(f"legibly.cli.{name}")
    }


@click.group(
    cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="legibly")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option(
    "--config", type=click.Path(dir_okay=False), help="Settings file instead of ./legibly.toml."
)
@click.option("--project", help="Project to work on, instead of LEGIBLY_PROJECT.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool, config: str | None, project: str | None) -> None:
    """Classify images, with a confidence that you can rely on."""
    ctx.obj = {"debug": debug, "config": config, "project": project}


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; exits with 0, 1 (failure) or 2 (usage error)."""
    words = _project_first(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.exit(cli.main(args=words, prog_name="legibly", standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except LegiblyError as error:
        _end(str(error), words)
    except BrokenPipeError:
        # The reader closed the pipe (`legibly … | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _end(
            f"unexpected error: {type(error).__name__}: {error}. Run it with --debug and"
            " report it.",
            words,
        )


def _project_first(words: list[str]) -> list[str]:
    """Move `--project NAME` to the front: it may be anywhere in the command line."""
    if "--project" not in words[:-1]:
        return words
    place = words.index("--project")
    return [*words[place : place + 2], *words[:place], *words[place + 2 :]]


def _end(message: str, words: list[str]) -> None:
    if "--debug" in words:
        raise
    click.echo(f"legibly: {message}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
