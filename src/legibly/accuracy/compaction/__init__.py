"""Small record files into partitioned Parquet."""
