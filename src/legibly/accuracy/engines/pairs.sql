-- The accuracy job's map-reduce, one text for DuckDB and Spark SQL: pairs in, counts out.
--
-- An engine provides four relations. fresh and settled have the columns
--   image, model, source, predicted, actual (null: label taken back), millionths (-1: no confidence), us
-- where us is the label's moment in microseconds of Unix time. A row that cannot be used has a null for predicted, the
-- reason for its source, and for its image a name that no other row has, so that every one is counted.
--   fresh    pairs of which an image and model may have several: the newest counts
--   settled  pairs that are known to be one an image and model among themselves
--   touched  (image, model) of fresh rows: these override settled ones
--   deleted  (image) of deleted images
-- No column is called "at" (a keyword in DuckDB 2), sums are of integers, and nothing depends on the order of rows.
-- The window is ordered by one value of several parts, because DuckDB then keeps a row an image instead of sorting.
WITH candidates AS (
  SELECT image, model, source, predicted, actual, millionths, us FROM fresh
  UNION ALL
  SELECT s.image, s.model, s.source, s.predicted, s.actual, s.millionths, s.us
  FROM settled AS s SEMI JOIN touched AS t ON s.image = t.image AND s.model = t.model
),
ranked AS (
  SELECT image, model, source, predicted, actual, millionths, us,
    ROW_NUMBER() OVER (
      PARTITION BY image, model
      ORDER BY (us, actual IS NOT NULL, coalesce(actual, ''), predicted, millionths, source) DESC
    ) AS place
  FROM candidates
),
newest AS (
  SELECT image, model, source, predicted, actual, millionths, us FROM ranked WHERE place = 1
  UNION ALL
  SELECT s.image, s.model, s.source, s.predicted, s.actual, s.millionths, s.us
  FROM settled AS s ANTI JOIN touched AS t ON s.image = t.image AND s.model = t.model
),
kept AS (
  SELECT n.model, n.source, n.predicted, n.actual, n.millionths, n.us
  FROM newest AS n ANTI JOIN deleted AS d ON n.image = d.image
)
SELECT
  us - us % 86400000000 AS day_us,
  model,
  source,
  predicted,
  actual,
  CASE
    WHEN millionths < 0 THEN -1
    WHEN millionths < 950000 THEN millionths - millionths % 50000
    WHEN millionths < 980000 THEN 950000
    WHEN millionths < 990000 THEN 980000
    WHEN millionths < 995000 THEN 990000
    WHEN millionths < 999000 THEN 995000
    ELSE 999000
  END AS bin,
  COUNT(*) AS n,
  SUM(CASE WHEN millionths < 0 THEN 0 ELSE millionths END) AS millionths
FROM kept
GROUP BY 1, 2, 3, 4, 5, 6
