-- The counts of readings.sql over the tables of Amazon Athena, in the words that Athena and DuckDB share.
--
--   readings   reading records, JSON lines; model is a struct of name and version, the rest are texts
--   deletions  a file for each deleted image, named after it
WITH lines AS (
  SELECT image, verdict, text, concat(coalesce(model.name, 'unknown'), '@', coalesce(model.version, '')) AS model,
    regexp_extract("at", '^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)?$', 0) AS moment,
    regexp_extract(confidence, '^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$', 0) AS number
  FROM readings
  WHERE image IS NOT NULL AND "$path" LIKE '%.jsonl'
),
parts AS (
  SELECT image, verdict, text, model,
    CASE WHEN number <> '' THEN TRY_CAST(number AS DOUBLE) END AS confidence,
    TRY_CAST(concat(substr(moment, 1, 10), ' ', substr(moment, 12, 8)) AS TIMESTAMP) AS clock,
    rpad(coalesce(regexp_extract(moment, '[.]([0-9]+)', 1), ''), 6, '0') AS fraction,
    coalesce(nullif(regexp_extract(moment, '[+-][0-9]{2}(:[0-9]{2})?$', 0), ''), '+00:00') AS zone
  FROM lines
),
timed AS (
  SELECT image, model, coalesce(verdict, '') AS verdict, coalesce(text, '') AS said,
    CASE
      WHEN confidence >= 0 AND confidence <= 1 THEN CAST(floor(confidence * 1000000 + 0.5) AS BIGINT)
      ELSE -1
    END AS millionths,
    date_diff('second', TIMESTAMP '1970-01-01 00:00:00', clock) * 1000000 + CAST(fraction AS BIGINT)
      - (CASE WHEN zone LIKE '-%' THEN -1 ELSE 1 END) * 1000000 * (
        3600 * CAST(substr(zone, 2, 2) AS BIGINT)
        + 60 * CAST(coalesce(nullif(substr(zone, 5, 2), ''), '0') AS BIGINT)
      ) AS read_us
  FROM parts
),
canonical AS (
  SELECT image, model, verdict, said, millionths,
    CASE WHEN read_us >= 0 THEN read_us ELSE -86400000000000000 END AS us
  FROM timed
),
ranked AS (
  SELECT image, model, verdict, said, millionths, us,
    ROW_NUMBER() OVER (
      PARTITION BY image, model ORDER BY us DESC, verdict DESC, said DESC, millionths DESC
    ) AS place
  FROM canonical
),
deleted AS (
  SELECT regexp_extract("$path", '([^/]+)[.]json$', 1) AS image
  FROM deletions
  WHERE "$path" LIKE '%.json'
)
SELECT
  us - us % 86400000000 AS day_us,
  model,
  verdict,
  said,
  CASE
    WHEN millionths < 0 THEN -1
    WHEN millionths < 950000 THEN millionths - millionths % 50000
    WHEN millionths < 980000 THEN 950000
    WHEN millionths < 990000 THEN 980000
    WHEN millionths < 995000 THEN 990000
    WHEN millionths < 999000 THEN 995000
    ELSE 999000
  END AS bin,
  COUNT(*) AS n
FROM ranked
WHERE place = 1 AND image NOT IN (SELECT image FROM deleted)
GROUP BY 1, 2, 3, 4, 5
