"""The command line: one file a command group, each loaded only when it is called."""
