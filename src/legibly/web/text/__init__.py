"""Languages and number formats."""
