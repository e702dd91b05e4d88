-- All readings, labelled or not: the population that labels are a sample of. One text for DuckDB and Spark SQL.
--
-- An engine provides readings (image, model, verdict, said, millionths, us) and deleted (image). A reading may be
-- there twice, since events are delivered at least once: the newest of an image and model counts.
WITH ranked AS (
  SELECT image, model, verdict, said, millionths, us,
    ROW_NUMBER() OVER (
      PARTITION BY image, model ORDER BY us DESC, verdict DESC, said DESC, millionths DESC
    ) AS place
  FROM readings
)
SELECT
  r.us - r.us % 86400000000 AS day_us,
  r.model,
  r.verdict,
  r.said,
  CASE
    WHEN r.millionths < 0 THEN -1
    WHEN r.millionths < 950000 THEN r.millionths - r.millionths % 50000
    WHEN r.millionths < 980000 THEN 950000
    WHEN r.millionths < 990000 THEN 980000
    WHEN r.millionths < 995000 THEN 990000
    WHEN r.millionths < 999000 THEN 995000
    ELSE 999000
  END AS bin,
  COUNT(*) AS n
FROM ranked AS r ANTI JOIN deleted AS d ON r.image = d.image
WHERE r.place = 1
GROUP BY 1, 2, 3, 4, 5
