-- The statements of `explain`, beside those of queries.sql. They read, and change nothing.

-- name: rows_of_person
-- Reads the rows of one person, the newest first, with the answer that is stored (masked before it is shown).
-- {moment} is a time without a zone: no ODBC driver for Python reads SQL Server's DATETIMEOFFSET.
SELECT id, row_state, submission_status, CAST(submission_timestamp AS {moment}), api_response, json_payload
FROM {table}
WHERE person_id = ?
ORDER BY id DESC {page};

-- name: records_of_person
-- Reads which records of one person were sent from this table, the latest first; the answers in the log are masked.
SELECT run_id, batch, kind, http_code, outcome, answer, logged_at
FROM {log}
WHERE person_id = ? AND staging_table {spellings}
ORDER BY id DESC {page};

-- name: accepted_of_child
-- Reads when a receiver last accepted a record of one child.
SELECT accepted_at
FROM {held}
WHERE receiver = ? AND la_child_id = ?;

-- name: last_accepted_of_child
-- Reads the last record of one child that a receiver accepted: after a deletion it holds nothing of the child.
SELECT sent.kind, sent.answer, sent.logged_at
FROM {log} AS sent
JOIN {runs} AS run ON run.run_id = sent.run_id
WHERE run.receiver = ? AND sent.la_child_id = ? AND sent.outcome = 'accepted'
ORDER BY sent.id DESC {page};
