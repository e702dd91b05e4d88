"""The index: the database for pages and queries, which can be rebuilt from the object store."""
