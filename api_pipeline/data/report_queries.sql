-- The statements of the run report (`report`, `run --report`), beside those of queries.sql. They read, and change
-- nothing.

-- name: read_run
-- Reads the journal entry of one run.
SELECT run_id, mode, payloads, shard, started_at, finished_at, due, accepted, refused, undelivered, deleted, unchanged,
       not_tried, exit_code, message, staging_table, receiver
FROM {runs}
WHERE run_id = ?;

-- name: logged_failures
-- Reads which records of a run were not accepted, as far as the answers tell, and why; the answers in the log are
-- masked.
SELECT answer, person_id
FROM {log}
WHERE run_id = ? AND outcome IN ('refused', 'undelivered', 'unknown')
ORDER BY id {page};

-- name: rows_in_error
-- Reads which rows are in error now, and the answer they got (masked before it is shown).
SELECT SUBSTRING(api_response, 1, 2000), person_id, id
FROM {table}
WHERE LOWER(LTRIM(RTRIM(submission_status))) = 'error'
ORDER BY id {page};
