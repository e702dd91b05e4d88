"""Merges small record files into partitioned Parquet."""
