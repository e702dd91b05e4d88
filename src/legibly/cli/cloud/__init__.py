"""`legibly cloud`: deploy and look after the system on AWS."""

from legibly.cli.cloud.stack import command as command
