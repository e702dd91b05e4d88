"""The engines that count pairs: DuckDB, Spark and plain Python."""
