"""`legibly cloud`: deploys and operates the system on AWS."""

from legibly.cli.cloud.stack import command as command
