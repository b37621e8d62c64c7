-- Every statement of the Single Data Return's commands. {staging}, {held}, {submission}, {validation}, {log} and {runs}
-- are its tables (data/ddl/sdr_*.sql). {ids} and {keys} are IN and a list of parameters (?, ?, ...), {rows} is a table
-- of parameters (VALUES ...) AS given with the columns column1, column2 ...; PostgreSQL takes a list, or a column of a
-- table, as one parameter, an array. {page} and {exact} are other places where SQL Server, PostgreSQL and SQLite differ.
-- Lists and rows are made in sql/binding.py, the rest in db/pieces.py.

-- name: probe_tables
-- Fails where one of the tables is missing; reads no row.
SELECT s.id, h.payload_hash, p.state, v.number, l.id, r.run_id
FROM {staging} s, {held} h, {submission} p, {validation} v, {log} l, {runs} r
WHERE 1 = 0;

-- name: read_outermost_ids
-- Reads the lowest and the highest id as the driver gives them and as text: a driver that cuts them gives others.
SELECT id, CAST(id AS VARCHAR(40))
FROM {staging}
WHERE id IN (SELECT MIN(id) FROM {staging} UNION ALL SELECT MAX(id) FROM {staging});

-- name: read_held
-- Finds what TEC holds for this period of the staged records of one page. Joined to the page, a database without
-- statistics would compare each of its records with the whole period.
SELECT local_id, payload_hash
FROM {held}
WHERE receiver = ? AND return_id = ? AND collection = ? AND local_id {keys};

-- name: read_staged
-- Reads the next page of a collection's staged records. Keyset on id.
SELECT id, local_id, json_payload
FROM {staging}
WHERE collection = ? {after}
ORDER BY id {page};

-- name: count_staged
-- Counts the staged records of each collection, by the name that the database takes the stored word for: SQL Server
-- passes over trailing blanks.
SELECT CASE collection
           WHEN 'courses' THEN 'courses'
           WHEN 'learners' THEN 'learners'
           WHEN 'course-enrolments' THEN 'course-enrolments'
           WHEN 'course-completions' THEN 'course-completions'
           WHEN 'qualification-completions' THEN 'qualification-completions'
           ELSE collection
       END, COUNT(*)
FROM {staging} GROUP BY collection;

-- name: read_repeated
-- Finds the ids that stand more than once in a collection, which only a table of the provider's own lets happen: TEC
-- would take the one record for the other.
SELECT local_id{exact}
FROM {staging}
WHERE collection = ?
GROUP BY local_id{exact}
HAVING COUNT(*) > 1;

-- name: count_held
-- Counts for each collection what TEC holds for this period, and how much of it is in doubt.
SELECT collection, COUNT(*), SUM(CASE WHEN payload_hash IS NULL THEN 1 ELSE 0 END)
FROM {held}
WHERE receiver = ? AND return_id = ?
GROUP BY collection;

-- name: count_vanished
-- Counts for each collection what TEC holds for this period and is not staged any more: what would be deleted.
SELECT h.collection, COUNT(*)
FROM {held} h
WHERE h.receiver = ? AND h.return_id = ?
  AND NOT EXISTS (SELECT 1 FROM {staging} s WHERE s.collection = h.collection{exact} AND s.local_id = h.local_id{exact})
GROUP BY h.collection;

-- name: count_vanished_refused
-- Counts for each collection what would be deleted though this receiver only ever refused it, by the audit trail: it
-- holds none of it, so the guard against too many deletes leaves it out. Of what an earlier run sent that was killed, or
-- lost this database, the trail does not tell: then nothing is left out. Asked for only where the guard would stop the run.
SELECT h.collection, COUNT(*)
FROM {held} h
WHERE h.receiver = ? AND h.return_id = ? AND h.payload_hash IS NULL
  AND NOT EXISTS (SELECT 1 FROM {staging} s WHERE s.collection = h.collection{exact} AND s.local_id = h.local_id{exact})
  AND EXISTS (SELECT 1 FROM {log} l JOIN {runs} r ON r.run_id = l.run_id
              WHERE l.collection = h.collection AND l.local_id = h.local_id AND l.return_id = h.return_id
                AND l.kind = 'put' AND l.outcome = 'refused' AND r.receiver = h.receiver)
  AND NOT EXISTS (SELECT 1 FROM {log} l LEFT JOIN {runs} r ON r.run_id = l.run_id
                  WHERE l.collection = h.collection AND l.local_id = h.local_id AND l.return_id = h.return_id
                    AND l.kind = 'put' AND l.outcome IN ('accepted', 'undelivered')
                    AND (r.receiver = h.receiver OR r.run_id IS NULL))
  AND NOT EXISTS (SELECT 1 FROM {runs} r
                  WHERE r.receiver = h.receiver AND r.return_id = h.return_id AND r.command = 'submit' AND r.run_id <> ?
                    AND (r.finished_at IS NULL OR r.exit_code = 3))
GROUP BY h.collection;

-- name: read_vanished
-- Reads the next page of the ids that TEC holds for this period and that are not staged any more. Keyset on local_id.
SELECT h.local_id
FROM {held} h
WHERE h.receiver = ? AND h.return_id = ? AND h.collection = ? AND h.local_id > ?
  AND NOT EXISTS (SELECT 1 FROM {staging} s WHERE s.collection = h.collection{exact} AND s.local_id = h.local_id{exact})
ORDER BY h.local_id {page};

-- name: mark_in_doubt
-- Before a request: marks records that TEC holds as in doubt until its answer is known.
UPDATE {held}
SET payload_hash = NULL, updated_at = ?
WHERE receiver = ? AND return_id = ? AND collection = ? AND local_id {keys};

-- name: insert_in_doubt
-- Before a request: adds records that TEC does not hold yet as in doubt.
INSERT INTO {held} (receiver, return_id, collection, local_id, updated_at)
SELECT ?text, ?number, ?text, given.column1, ?time
FROM {rows};

-- name: insert_held
-- After an acceptance, in one transaction with forget_held: TEC holds these records as they were sent. An UPDATE joined
-- to the rows of parameters would compare each of them with each record, where the database knows nothing of the table.
INSERT INTO {held} (receiver, return_id, collection, updated_at, local_id, payload_hash)
SELECT ?text, ?number, ?text, ?time, given.column1, given.column2
FROM {rows};

-- name: forget_held
-- After an accepted delete, and before the new baselines after an acceptance: removes the old ones.
DELETE FROM {held}
WHERE receiver = ? AND return_id = ? AND collection = ? AND local_id {keys};

-- name: mark_period_in_doubt
-- Under another submission token everything held for the period is in doubt: TEC does not say whether data survive a token.
UPDATE {held} SET payload_hash = NULL, updated_at = ? WHERE receiver = ? AND return_id = ?;

-- name: forget_period
-- After a reset: removes the period's baselines, because TEC holds nothing for it any more.
DELETE FROM {held} WHERE receiver = ? AND return_id = ?;

-- name: mark_staged
-- Writes for people what became of these staged records; what is due is decided by the hashes alone. A table that is
-- filled anew may give an id to another record, so the record's own key must be right too. COALESCE keeps SQLite from
-- looking up each pair of an id and a key: a million pairs in a batch of a thousand.
UPDATE {staging}
SET submission_status = ?, submission_timestamp = ?, api_response = ?, return_id = ?
WHERE id {ids} AND COALESCE(collection, '') = ? AND COALESCE(local_id, '') {keys};

-- name: log_records
-- Adds to the audit trail the records of one request that got the same answer.
INSERT INTO {log}
    (run_id, batch, return_id, collection, kind, outcome, answer, logged_at, local_id, sent_hash)
SELECT ?text, ?number, ?number, ?text, ?text, ?text, ?text, ?time, given.column1, given.column2
FROM {rows};

-- name: read_submission
-- Reads how the submission of a period stands.
SELECT submission_token, token_expiry, token_received_at, batch_limit, state, tec_status, declined_code, declined_reason,
       validation_received_at, validation_errors, validation_warnings, updated_at
FROM {submission}
WHERE receiver = ? AND return_id = ?;

-- name: read_submissions
-- Lists the periods that this receiver was ever asked for, the newest first.
SELECT return_id, return_year, return_month
FROM {submission}
WHERE receiver = ?
ORDER BY return_id DESC;

-- name: insert_submission
-- Begins the entry of a period.
INSERT INTO {submission} (receiver, return_id, return_year, return_month, state, updated_at) VALUES (?, ?, ?, ?, 'none', ?);

-- name: update_token
-- Writes the submission token that TEC gave for a period.
UPDATE {submission}
SET submission_token = ?, token_expiry = ?, token_received_at = ?, batch_limit = ?, declined_code = NULL,
    declined_reason = NULL, updated_at = ?
WHERE receiver = ? AND return_id = ?;

-- name: update_state
-- Writes how TEC says that a submission stands. What it declined before is not its last word any more.
UPDATE {submission}
SET state = ?, tec_status = ?, declined_code = NULL, declined_reason = NULL, updated_at = ?
WHERE receiver = ? AND return_id = ?;

-- name: update_declined
-- Writes why TEC declined the last token request of a period.
UPDATE {submission}
SET declined_code = ?, declined_reason = ?, updated_at = ?
WHERE receiver = ? AND return_id = ?;

-- name: update_validation
-- Writes the counts of the last validation.
UPDATE {submission}
SET validation_received_at = ?, validation_errors = ?, validation_warnings = ?, updated_at = ?
WHERE receiver = ? AND return_id = ?;

-- name: delete_results
-- Deletes the results of one validation, to store them again in the same transaction.
DELETE FROM {validation} WHERE receiver = ? AND return_id = ? AND run = ?;

-- name: insert_results
-- Stores results of a validation.
INSERT INTO {validation}
    (receiver, return_id, run, number, collection, local_id, error_code, error_type, description, student_id,
     course_code, record_text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: read_results
-- Reads the results of one validation in TEC's order. The row 0 of one that found nothing is not a result.
SELECT number, collection, local_id, error_code, error_type, description, student_id, course_code, record_text
FROM {validation}
WHERE receiver = ? AND return_id = ? AND run = ? AND number > 0
ORDER BY number;

-- name: read_validation_runs
-- Lists the validations of a period whose results are stored, the oldest first, with the counts of errors and warnings.
-- One that found nothing is there with its row 0.
SELECT run, SUM(CASE WHEN LOWER(error_type) = 'error' THEN 1 ELSE 0 END),
       SUM(CASE WHEN number = 0 OR LOWER(error_type) = 'error' THEN 0 ELSE 1 END)
FROM {validation}
WHERE receiver = ? AND return_id = ?
GROUP BY run
ORDER BY run;

-- name: clear_validation_marks
-- Clears the marks of an earlier validation in the staging table.
UPDATE {staging}
SET validation_errors = NULL, validation_warnings = NULL,
    api_response = CASE WHEN api_response LIKE 'validation: %' THEN NULL ELSE api_response END
WHERE validation_errors IS NOT NULL OR validation_warnings IS NOT NULL;

-- name: mark_validated
-- Writes to staged records of a collection how many errors and warnings the last validation found in each, and their
-- first codes. The ids stand there twice so that every database finds the rows by their key.
UPDATE {staging}
SET validation_errors = done.found_errors, validation_warnings = done.found_warnings, api_response = done.answer,
    return_id = ?
FROM (SELECT column1 AS marked_id, column2 AS found_errors, column3 AS found_warnings, column4 AS answer
      FROM {rows}) AS done
WHERE local_id = done.marked_id AND collection = ? AND local_id {keys};

-- name: insert_run
-- Opens a run's entry in the journal.
INSERT INTO {runs} (run_id, receiver, return_id, mode, command, started_at) VALUES (?, ?, ?, ?, ?, ?);

-- name: finish_run
-- Closes a run's entry in the journal.
UPDATE {runs}
SET finished_at = ?, accepted = ?, deleted = ?, refused = ?, undelivered = ?, unchanged = ?, requests = ?,
    exit_code = ?, message = ?
WHERE run_id = ?;

-- name: read_runs
-- Reads the last runs of a period, the newest first; one that a clock far ahead dated after the time given comes last.
SELECT command, started_at, finished_at, accepted, deleted, refused, undelivered, exit_code
FROM {runs}
WHERE receiver = ? AND return_id = ?
ORDER BY CASE WHEN started_at > ? THEN 1 ELSE 0 END, started_at DESC {page};

-- name: count_refused
-- Counts for each collection the staged records of which this receiver refused the last form that it was sent for the
-- period, by the audit trail, and those among them of which it once took a form, or may have taken one, so that it may
-- hold that. The words in the staging table would not do: they are about the return that was submitted last.
SELECT refused.collection, COUNT(*), SUM(refused.was_taken)
FROM (SELECT h.collection, CASE WHEN EXISTS (
                 SELECT 1 FROM {log} l JOIN {runs} r ON r.run_id = l.run_id
                 WHERE l.collection = h.collection AND l.local_id = h.local_id AND l.return_id = h.return_id
                   AND l.kind = 'put' AND l.outcome IN ('accepted', 'undelivered') AND r.receiver = h.receiver
             ) THEN 1 ELSE 0 END AS was_taken
      FROM {held} h
      WHERE h.receiver = ? AND h.return_id = ? AND h.payload_hash IS NULL
        AND EXISTS (SELECT 1 FROM {staging} s
                    WHERE s.collection = h.collection{exact} AND s.local_id = h.local_id{exact})
        AND EXISTS (SELECT 1 FROM {log} l JOIN {runs} r ON r.run_id = l.run_id
                    WHERE l.collection = h.collection AND l.local_id = h.local_id AND l.return_id = h.return_id
                      AND l.kind = 'put' AND l.outcome = 'refused' AND r.receiver = h.receiver
                      AND NOT EXISTS (SELECT 1 FROM {log} n JOIN {runs} m ON m.run_id = n.run_id
                                      WHERE n.collection = l.collection AND n.local_id = l.local_id
                                        AND n.return_id = l.return_id AND n.id > l.id AND m.receiver = r.receiver))
     ) refused
GROUP BY refused.collection;

-- name: read_staged_keys
-- Finds which of these ids are staged in a collection, for `load`.
SELECT local_id, id, json_payload FROM {staging} WHERE collection = ? AND local_id {keys};

-- name: insert_staged
-- Adds records to the staging table, for `load`.
INSERT INTO {staging} (collection, local_id, json_payload) VALUES (?, ?, ?);

-- name: update_staged
-- Replaces the payload of a staged record, for `load`.
UPDATE {staging} SET json_payload = ? WHERE id = ?;

-- name: delete_staged
-- Takes staged records out of a collection, for `load`: they are in no file any more.
DELETE FROM {staging} WHERE id {ids};

-- name: read_staged_ids
-- Reads the next page of a collection's ids, for `load`. Keyset on id.
SELECT id, local_id FROM {staging} WHERE collection = ? {after} ORDER BY id {page};

-- name: read_with_errors
-- Reads the staged records of a collection in which the last validation found errors, for the demo.
SELECT id, local_id, json_payload FROM {staging} WHERE collection = ? AND validation_errors > 0;
