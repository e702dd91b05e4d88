"""`python -m legibly`."""

from legibly.cli.main import main

main()
