-- The counts of pairs.sql over the tables of Amazon Athena, in the words that Athena and DuckDB share.
--
--   pair_lines     new pairs, JSON lines, every column a text, with the file as "$path"
--   settled_pairs  Parquet of `legibly compact`; files that a later run replaced may still be there
--   deletions      a file for each deleted image, named after it
-- The newest label of an image and model counts, so a pair that is in several files counts once. Rows that cannot be
-- used have a null for predicted and the reason for their source, and each of them counts.
-- labelled_us is the label's moment in microseconds of Unix time: Athena rounds labelled_at to milliseconds.
WITH lines AS (
  SELECT image, predicted, actual, confidence, model, source, labelled_at, verdict,
    regexp_extract(labelled_at, '^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)?$', 0) AS moment,
    regexp_extract(confidence, '^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$', 0) AS number
  FROM pair_lines
  WHERE "$path" LIKE '%.jsonl' OR "$path" LIKE '%.json'
),
parts AS (
  SELECT image, predicted, actual, confidence, model, source, labelled_at, verdict, number,
    TRY_CAST(concat(substr(moment, 1, 10), ' ', substr(moment, 12, 8)) AS TIMESTAMP) AS clock,
    rpad(coalesce(regexp_extract(moment, '[.]([0-9]+)', 1), ''), 6, '0') AS fraction,
    coalesce(nullif(regexp_extract(moment, '[+-][0-9]{2}(:[0-9]{2})?$', 0), ''), '+00:00') AS zone
  FROM lines
),
pairs AS (
  SELECT image, predicted, actual, model, verdict,
    CASE
      WHEN image IS NULL AND predicted IS NULL AND actual IS NULL AND confidence IS NULL AND model IS NULL
        AND source IS NULL AND labelled_at IS NULL THEN 'malformed'
      WHEN coalesce(image, '') = '' THEN 'no_image'
      WHEN predicted IS NULL THEN 'no_prediction'
      ELSE source
    END AS source,
    CASE WHEN number <> '' THEN TRY_CAST(number AS DOUBLE) END AS confidence,
    date_diff('second', TIMESTAMP '1970-01-01 00:00:00', clock) * 1000000 + CAST(fraction AS BIGINT)
      - (CASE WHEN zone LIKE '-%' THEN -1 ELSE 1 END) * 1000000 * (
        3600 * CAST(substr(zone, 2, 2) AS BIGINT)
        + 60 * CAST(coalesce(nullif(substr(zone, 5, 2), ''), '0') AS BIGINT)
      ) AS labelled_us
  FROM parts
  UNION ALL
  SELECT image, predicted, actual, model, verdict, source, confidence, labelled_us FROM settled_pairs
),
canonical AS (
  SELECT image,
    coalesce(nullif(model, ''), 'unknown') AS model,
    coalesce(nullif(source, ''), 'unknown') AS source,
    CASE WHEN image <> '' THEN predicted END AS predicted,
    CASE WHEN actual = '' AND predicted <> '' AND verdict <> 'read' THEN chr(1) ELSE actual END AS actual,
    CASE
      WHEN confidence >= 0 AND confidence <= 1 THEN CAST(floor(confidence * 1000000 + 0.5) AS BIGINT)
      ELSE -1
    END AS millionths,
    CASE WHEN labelled_us >= 0 THEN labelled_us ELSE -86400000000000000 END AS us
  FROM pairs
),
ranked AS (
  SELECT image, model, source, predicted, actual, millionths, us,
    ROW_NUMBER() OVER (
      PARTITION BY image, model, CASE WHEN predicted IS NULL THEN 1 ELSE 0 END
      ORDER BY us DESC, CASE WHEN actual IS NULL THEN 0 ELSE 1 END DESC, coalesce(actual, '') DESC,
        predicted DESC, millionths DESC, source DESC
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
FROM ranked
WHERE predicted IS NULL OR (place = 1 AND image NOT IN (SELECT image FROM deleted))
GROUP BY 1, 2, 3, 4, 5, 6
