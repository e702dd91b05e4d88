"""The index: what pages and queries need, rebuilt from the object store at any time."""
