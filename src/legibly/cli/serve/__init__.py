"""`legibly serve`: the whole system on one machine, by one process or several."""

from legibly.cli.serve.serving import command as command
