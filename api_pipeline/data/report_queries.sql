-- The statements of the run report (`report`, `run --report`), beside those of queries.sql. They read, and change
-- nothing.

-- name: read_run
-- Reads the journal entry of one run.
SELECT run_id, mode, payloads, shard, started_at, finished_at, due, accepted, refused, undelivered, deleted, unchanged,
       not_tried, exit_code, message, staging_table, receiver
FROM {runs}
WHERE run_id = CAST(? AS VARCHAR(100));

-- name: logged_failures
-- Reads which records of a run were not accepted, as far as the answers tell, and why; the answers in the log are
-- masked.
SELECT answer, person_id
FROM {log}
WHERE run_id = CAST(? AS VARCHAR(100)) AND outcome IN ('refused', 'undelivered', 'unknown')
ORDER BY id {page};

-- name: failures_by_run
-- Counts, for the list of all nights, what came back in each run since a time, and why; the most frequent first.
SELECT run_id, answer, COUNT(*)
FROM {log}
WHERE staging_table {spellings} AND logged_at >= ?time AND outcome IN ('refused', 'undelivered', 'unknown')
GROUP BY run_id, answer
ORDER BY COUNT(*) DESC {page};

-- name: failing_since
-- Reads since when each person's records have come back, with none accepted after the first of these; the longest first.
-- The ids are compared twice: by the index, and letter by letter.
SELECT l.person_id{exact}, MIN(l.logged_at)
FROM {log} l
WHERE l.staging_table {spellings} AND l.outcome IN ('refused', 'undelivered', 'unknown')
  AND NOT EXISTS (
      SELECT 1 FROM {log} a
      WHERE a.person_id = l.person_id AND a.person_id = l.person_id{exact} AND a.staging_table {spellings}
            AND a.outcome = 'accepted' AND a.id > l.id
  )
GROUP BY l.person_id{exact}
ORDER BY MIN(l.logged_at) {page};

-- name: rows_in_error
-- Reads which rows are in error now, and the answer they got (masked before it is shown).
SELECT SUBSTRING(api_response, 1, 2000), person_id, id
FROM {table}
WHERE LOWER(LTRIM(RTRIM(submission_status))) = 'error'
ORDER BY id {page};
