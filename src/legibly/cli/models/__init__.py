"""`legibly models`: list, import, calibrate, compare and promote model packs."""

from legibly.cli.models.packs import command as command
