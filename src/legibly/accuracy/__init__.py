"""How good the answers are: pairs → cells → report, with one definition whichever engine counts.

`pairs.sql` counts pairs into a small table of cells (DuckDB and Spark run the same text,
`reference` does the same in plain Python); `report.build` makes everything else from that table, so
that the same pairs give the same bytes. The web app calls `indexed.report(index)`, which counts in
the database.
"""
