-- Every statement that the pipeline sends to a council's database while it works on the staging table. Statements of
-- deployment stand in ddl/, those of `stage` in staging_queries.sql.
--
-- {table}, {held}, {log}, {unconfirmed}, {left_window}, {runs} are the staging table and its control tables. {ids},
-- {children}, {people} and {spellings} are IN and a list of parameters (?, ?, ...), {rows} is a table of parameters,
-- (VALUES (?, ?), (?, ?) ...) AS given, with the columns column1, column2 ...: values always travel as parameters, never
-- in the text.
-- PostgreSQL takes a list, or a column of a table, as one parameter, an array (sql/binding.py). {page}, {lock_rows},
-- {locked} and {delta} are other places where SQL Server, PostgreSQL and SQLite differ; what they become is said in
-- db/pieces.py.
-- {exact} and {usual} name a collation on SQL Server, where a column of a control table is compared with one that has
-- another, or ids that differ in case alone are not to become one. {columns} are those of the row that are asked for.
--
-- A parameter is written ?, or ?number, ?text, ?time, ?bytes where its type must be known. What is sent: for a null
-- the word NULL (of that type), and never a parameter; for ?text a parameter of type NVARCHAR(MAX); for a time CAST(?
-- AS DATETIME2(3)), with its ISO text as the parameter (CAST(? AS TIMESTAMP) on PostgreSQL). sql/binding.py does it.
--
-- A text travels as Unicode. SQL Server would convert a VARCHAR column that is compared with it, and under collations
-- whose names begin with SQL_ read the whole table instead of its index. So the id of a run, which is VARCHAR in the
-- control tables, is compared with CAST(? AS VARCHAR(100)).

-- name: probe
-- Asks for nothing, to see that the database answers.
SELECT 1;

-- name: table_exists
-- Fails where a table (or one of the named columns) is not there; reads no row. The columns stand inside, so that no
-- driver asks the catalogue about each of them.
SELECT COUNT(*) FROM (SELECT {columns} FROM {any_table} WHERE 1 = 0) AS seen;

-- name: may_write
-- Changes no row: fails where the login may not write what a run writes back, or where the types of the columns do not
-- allow it, before anything is sent. It joins a table as the write-back's statements do: SQL Server refuses that of a
-- view with an INSTEAD OF trigger (error 414).
UPDATE {table}
SET partial_json_payload = partial_json_payload, submission_status = 'sent',
    submission_timestamp = submission_timestamp, api_response = CAST('' AS VARCHAR(10)), row_state = 'unchanged',
    previous_json_payload = json_payload, previous_hash = current_hash
FROM (SELECT 0 AS row_id) AS done
WHERE id = done.row_id AND 1 = 0;

-- name: any_row
-- Reads the id of one row: whether the table has any row at all.
SELECT id
FROM {table}
ORDER BY id {page};

-- name: read_due
-- Reads the next page of rows that may be due: those with a payload whose status says so, and every deleted row
-- (whether the receiver still holds that child is looked up afterwards). {odd_words} are those words that have blanks
-- around them which SQL does not strip. Keyset on id, so that no page is read twice; the first page has no lower bound.
SELECT {columns}
FROM {table}
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted' {odd_words}) {after} {person}
ORDER BY id {page};

-- name: read_all
-- Reads the next page of all rows with a payload, whatever their status: for `validate` of the whole table and for
-- `run --resync`.
SELECT {columns}
FROM {table}
WHERE json_payload IS NOT NULL {after} {person}
ORDER BY id {page};

-- name: read_rows
-- Reads some rows as they stand now: a shard's rows, and those whose receipts an earlier run had to keep in a file.
SELECT {columns}
FROM {table}
WHERE id {ids};

-- name: payloads_of
-- Reads the payloads of rows in error, so that an answer is shown without the values of the record it is about.
SELECT id, json_payload
FROM {table}
WHERE id {ids};

-- name: read_cell
-- Reads one value of one row, to find which one the driver cannot decode where a page of rows could not be read.
SELECT {column}
FROM {table}
WHERE id = ?;

-- name: read_people_with_several_rows
-- Reads the rows of people who have more than one: only the newest (the greatest id) is sent, older ones are superseded.
-- A blank payload, which its beginning shows, is never due.
SELECT person_id, id, submission_status, CAST(json_payload AS VARCHAR(60))
FROM {table}
WHERE person_id IN (SELECT person_id FROM {table} WHERE person_id IS NOT NULL {person}
                    GROUP BY person_id HAVING COUNT(*) > 1);

-- name: count_ids
-- Counts rows, ids and different ids: a table whose id is null or not unique is refused.
SELECT COUNT(*), COUNT(id), COUNT(DISTINCT id)
FROM {table};

-- name: count_broken_ids
-- Counts the ids of a column of decimal numbers that are no whole numbers: no statement could name them.
SELECT COUNT(*)
FROM {table}
WHERE id <> FLOOR(id);

-- name: read_outermost_ids
-- Reads the lowest and the highest id as the driver gives them and as text: a driver that cuts them gives others.
SELECT id, CAST(id AS VARCHAR(40))
FROM {table}
WHERE id IN (SELECT MIN(id) FROM {table} UNION ALL SELECT MAX(id) FROM {table});

-- name: count_rows
-- Counts the rows, by the smallest index that there is.
SELECT COUNT(*)
FROM {table};

-- name: read_words
-- Reads the status words of some rows, the newest: what most of them have, most rows of the table are likely to have.
SELECT row_state, submission_status
FROM {table}
ORDER BY id DESC {page};

-- name: count_words
-- Counts the rows by their two status words as they are stored, with one person of each; all but the rows with one pair
-- of words, whose number is what remains of all: sorting them would take most of the time. No payload is named here: a
-- database that sorts the rows would carry it along.
SELECT row_state, submission_status, COUNT(*), MIN(person_id)
FROM {table}
WHERE row_state IS NULL OR submission_status IS NULL OR row_state <> ? OR submission_status <> ?
GROUP BY row_state, submission_status;

-- name: count_words_without_payload
-- Counts the rows without a payload in the same way.
SELECT row_state, submission_status, COUNT(*)
FROM {table}
WHERE json_payload IS NULL
GROUP BY row_state, submission_status;

-- name: read_people_without_payload
-- Names some of the people whose rows would be due but have no payload.
SELECT person_id
FROM {table}
WHERE json_payload IS NULL AND LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
  AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted')
ORDER BY id {page};

-- name: read_payload_beginnings
-- Reads how the payloads of due rows begin that have no quotation mark there: `status` looks which of them are blank.
-- The condition of the index of due rows stands here word for word, so that no other row is looked at.
SELECT person_id, CAST(json_payload AS VARCHAR(50))
FROM {table}
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted')
  AND LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
  AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted')
  AND CAST(json_payload AS VARCHAR(50)) NOT LIKE '%"%'
ORDER BY id;

-- name: has_held_without_row
-- Finds whether there can be such children at all, where a child's id is its person's: each table's index is read once,
-- in its order, instead of one search of the second for each child.
SELECT held.la_child_id{exact}
FROM (SELECT receiver, la_child_id FROM {held} UNION ALL SELECT receiver, la_child_id FROM {unconfirmed}) AS held
WHERE held.receiver = ?
EXCEPT
SELECT here.person_id
FROM {table} AS here
ORDER BY 1 {page};

-- name: read_held_without_row
-- Finds children whom a receiver holds, or may hold, although no row of theirs is in the table any more: nothing will ever
-- purge them.
SELECT held.la_child_id
FROM (SELECT receiver, la_child_id FROM {held} UNION ALL SELECT receiver, la_child_id FROM {unconfirmed}) AS held
LEFT JOIN (SELECT DISTINCT CAST(person_id AS VARCHAR(100)) AS child FROM {table} WHERE person_id IS NOT NULL) AS known
  ON known.child = held.la_child_id{exact}
WHERE held.receiver = ? AND known.child IS NULL;

-- name: read_held_without_row_of_a_person
-- The same where a child's id at the receiver is not its person's: the submission log says whose it is, or which row's
-- where the row names no person. A child in doubt of whom it says nothing yet counts only where its id would be its person's.
SELECT held.la_child_id
FROM (SELECT receiver, la_child_id FROM {held}
      UNION ALL
      SELECT receiver, la_child_id FROM {unconfirmed} AS marked
      WHERE EXISTS (SELECT 1 FROM {log} AS logged WHERE logged.la_child_id = marked.la_child_id{usual})
         OR EXISTS (SELECT 1 FROM {log} AS logged WHERE logged.la_child_id = logged.person_id)) AS held
LEFT JOIN (SELECT CAST(person_id AS VARCHAR(100)) AS child FROM {table} WHERE person_id IS NOT NULL
           UNION
           SELECT logged.la_child_id{exact} FROM {log} AS logged
           JOIN {table} AS here ON here.person_id = logged.person_id{exact}
           UNION
           SELECT logged.la_child_id{exact} FROM {log} AS logged
           JOIN {table} AS here ON here.id = logged.staging_id
           WHERE here.person_id IS NULL AND (logged.person_id IS NULL OR logged.person_id = '')) AS known
  ON known.child = held.la_child_id{exact}
WHERE held.receiver = ? AND known.child IS NULL;

-- name: count_due
-- Counts the rows that read_due would give, for the progress display.
SELECT COUNT(*)
FROM {table}
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted' {odd_words}) {person};

-- name: read_due_after
-- Reads the rows, deleted ones apart, that a run which ended early did not reach, for its summary.
SELECT id, person_id
FROM {table}
WHERE id > ? AND json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing') {odd_words})
  AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted') {person};

-- name: read_all_after
-- Reads the rows, deleted ones apart, that a resync which ended early did not reach, for its summary.
SELECT id, person_id
FROM {table}
WHERE id > ? AND json_payload IS NOT NULL
  AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted') {person};

-- name: count_all
-- Counts the rows that read_all would give.
SELECT COUNT(*)
FROM {table}
WHERE json_payload IS NOT NULL {person};

-- name: read_previous
-- Reads what the table says was sent before, for rows of children who have no baseline yet.
SELECT id, previous_json_payload
FROM {table}
WHERE id {ids} AND previous_json_payload IS NOT NULL;

-- name: read_accepted_before
-- Finds which of these people had a record accepted since the control tables were made: of them those tables know
-- more than the row's own previous payload, which today's SQL overwrites with whatever was staged last.
SELECT DISTINCT person_id{exact}
FROM {log}
WHERE person_id {people} AND outcome = 'accepted';

-- name: read_known_elsewhere
-- Finds which of some children another receiver is recorded to hold, or may hold: what their rows say was sent, was sent
-- there. The log does not always tell: LOG_KEEP_DAYS deletes its lines, and a run without all control tables adds none.
SELECT la_child_id
FROM {held}
WHERE receiver <> ? AND la_child_id {children}
UNION
SELECT la_child_id
FROM {unconfirmed}
WHERE receiver <> ? AND la_child_id {children};

-- name: read_senders
-- Reads for which people a record about some children was accepted. If the child of a deleted row now belongs to another
-- person, no deletion is sent.
SELECT la_child_id, person_id, answer
FROM {log}
WHERE la_child_id {children} AND outcome = 'accepted' AND person_id IS NOT NULL;

-- name: read_accepted_of_people
-- Reads which records of some people were accepted. If the receiver holds a payload by the record of another person
-- alone, it is sent again.
SELECT la_child_id, person_id, answer
FROM {log}
WHERE person_id {people} AND outcome = 'accepted';

-- name: read_copied_answers
-- Reads the answers that more than one row has, as where rows were copied to give people new ids: of these rows a
-- receipt does not tell by whose record the receiver holds the child. Rows of one batch may have one receipt, and differ
-- in the hash of what was sent. Asked only where a deletion is due, or nothing has to be sent for a row.
SELECT SUBSTRING(api_response, 1, 100)
FROM {table}
WHERE api_response IS NOT NULL
GROUP BY SUBSTRING(api_response, 1, 100), previous_hash
HAVING COUNT(*) > 1;

-- name: read_ids_of_people
-- Reads the rows of some people.
SELECT id
FROM {table}
WHERE person_id {people};

-- name: read_held
-- Reads the baselines of some children (0), and their records in doubt (1): what the receiver holds if it took the
-- record, and the payload's hash.
SELECT la_child_id, 0, held_payload, receipt
FROM {held}
WHERE receiver = ? AND la_child_id {children}
UNION ALL
SELECT la_child_id, 1, may_hold, payload_hash
FROM {unconfirmed}
WHERE receiver = ? AND la_child_id {children};

-- name: has_left_window
-- Finds whether anything left the time window of `stage` and is not to be purged.
SELECT COUNT(*)
FROM {left_window};

-- name: read_left_window
-- Reads which parts of these people's records left the time window of `stage`, so that they are not purged.
SELECT person_id, elements
FROM {left_window}
WHERE person_id {people};

-- name: read_runs_of_notes
-- Reads which run sent the record in doubt of some children: of the receipts kept in a file, only that run's is the
-- newest.
SELECT la_child_id, run_id
FROM {unconfirmed}
WHERE receiver = ? AND la_child_id {children};

-- name: forget_unconfirmed
-- Removes children from those in doubt, once the answer is known (or the record was never sent).
DELETE FROM {unconfirmed}
WHERE receiver = ? AND la_child_id {children};

-- name: insert_unconfirmed
-- Marks the children of a POST as in doubt before it begins, so that after a power cut the next run knows them. What the
-- rows have in common is given once.
INSERT INTO {unconfirmed} (la_child_id, payload_hash, receiver, run_id, begun_at)
SELECT column1, column2, ?, ?, ?time
FROM {rows};

-- name: record_may_hold
-- Records what the receiver holds if it accepted a record whose answer was lost.
UPDATE {unconfirmed} SET may_hold = ?text
WHERE receiver = ? AND la_child_id = ? AND payload_hash <> '';

-- name: read_versions
-- Reads, and locks until the end of the write-back's transaction, person and version of each row of a batch as it
-- stands now. A row that somebody changed since it was read must not be marked as sent, and one that is another person's
-- by now (the table was emptied and filled again) is not written to at all.
SELECT {columns}
FROM {table} {lock_rows}
WHERE id {ids} {locked};

-- name: read_written
-- Reads, at the end of the write-back's transaction, what the rows say now: a trigger, a view or row-level security can
-- let a change go that the database calls done, and what was not stored is never called a success.
SELECT {columns}
FROM {table}
WHERE id {ids};

-- name: try_to_write
-- Writes to one row in a transaction that is always rolled back, before anything is sent: shows that a write-back works.
UPDATE {table}
SET api_response = ?text
WHERE id = ?;

-- name: mark_sent
-- Writes the receipts of accepted full records to their rows: they are sent, and what was sent becomes the previous
-- payload. The ids stand there twice so that every database finds the rows by their key.
UPDATE {table}
SET submission_status = 'sent', row_state = 'unchanged', api_response = done.answer,
    submission_timestamp = done.received_at, previous_hash = current_hash, previous_json_payload = json_payload,
    partial_json_payload = NULL
FROM (SELECT column1 AS row_id, column2 AS answer, column3 AS received_at FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: mark_delta_sent
-- The same for accepted deltas, which are kept in their column.
UPDATE {table}
SET submission_status = 'sent', row_state = 'unchanged', api_response = done.answer,
    submission_timestamp = done.received_at, previous_hash = current_hash, previous_json_payload = json_payload,
    partial_json_payload = {delta}
FROM (SELECT column1 AS row_id, column2 AS answer, column3 AS received_at, column4 AS delta FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: type_of_column_postgresql
-- PostgreSQL: gives the type of a column for payloads or deltas, which takes no text as it is where it is JSONB.
SELECT format_type(atttypid, NULL)
FROM pg_attribute
WHERE attrelid = to_regclass(?) AND attname = ?;

-- name: mark_already_held
-- Writes to rows that nothing was sent, because the receiver holds exactly this payload.
UPDATE {table}
SET submission_status = 'sent', row_state = 'unchanged', api_response = done.answer,
    previous_hash = current_hash, previous_json_payload = json_payload, partial_json_payload = NULL
FROM (SELECT column1 AS row_id, column2 AS answer FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: mark_deletion_sent
-- Writes the receipt of an accepted deletion: the receiver holds nothing of the child any more.
UPDATE {table}
SET submission_status = 'sent', row_state = 'deleted', api_response = done.answer,
    submission_timestamp = done.received_at, previous_hash = NULL, previous_json_payload = NULL,
    partial_json_payload = NULL
FROM (SELECT column1 AS row_id, column2 AS answer, column3 AS received_at FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: keep_changed
-- A record was accepted, but its row was changed meanwhile: records what was sent, and leaves the row due.
UPDATE {table}
SET previous_json_payload = ?, previous_hash = ?
WHERE id = ?;

-- name: mark_failed
-- Writes code and reason to the rows of records that were refused or could not be delivered.
UPDATE {table}
SET submission_status = 'error', api_response = done.answer
FROM (SELECT column1 AS row_id, column2 AS answer FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: mark_superseded
-- Writes to the older rows of a person, which would be due, that the newest was accepted and they were not sent.
UPDATE {table}
SET submission_status = 'sent', api_response = done.answer,
    row_state = CASE WHEN LOWER(row_state) LIKE '%deleted%' THEN row_state ELSE 'unchanged' END
FROM (SELECT column1 AS row_id, column2 AS answer FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: mark_testing
-- Writes the simulated answers of testing mode; nothing else changes, so that a live run sends the rows.
UPDATE {table}
SET submission_status = 'testing', api_response = done.answer, submission_timestamp = done.answered_at
FROM (SELECT column1 AS row_id, column2 AS answer, column3 AS answered_at FROM {rows}) AS done
WHERE id = done.row_id AND id {ids};

-- name: mark_due_again
-- Makes rows due whose child is to be purged at the receiver in order to be sent anew: before that, so that they are due
-- whatever becomes of the run, and again when it is done.
UPDATE {table}
SET submission_status = 'pending'
WHERE id {ids}
      AND (submission_status IS NULL OR LOWER(LTRIM(RTRIM(submission_status))) NOT IN ('pending', 'error', 'testing'))
      AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted');

-- name: remove_held
-- Deletes the old baselines of some children, before the new ones are inserted.
DELETE FROM {held}
WHERE receiver = ? AND la_child_id {children};

-- name: insert_held
-- Records what the receiver holds now, with the receipt that says so.
INSERT INTO {held} (la_child_id, held_payload, held_hash, receipt, accepted_at, receiver)
SELECT column1, column2, column3, column4, column5, ?
FROM {rows};

-- name: copy_held_postgresql
-- PostgreSQL: does the same for children whose rows still have the payload that was sent, and copies it from there. The
-- condition refers to both tables, so that the server computes the hash for these rows only.
INSERT INTO {held} (la_child_id, held_payload, held_hash, receipt, accepted_at, receiver)
SELECT given.column2, staged.json_payload, given.column3, given.column4, given.column5, ?
FROM {rows}
JOIN {table} AS staged ON staged.id = given.column1
WHERE CASE WHEN staged.id = given.column1
           THEN ENCODE(SHA256(CONVERT_TO(CAST(staged.json_payload AS TEXT), GETDATABASEENCODING())), 'hex')
      END = given.column3;

-- name: has_sha256_postgresql
-- PostgreSQL: checks whether the server can compute a SHA-256 (it can since version 11).
SELECT COUNT(*) FROM pg_catalog.pg_proc WHERE proname = 'sha256';

-- name: replace_held_receipts
-- Marks baselines that a run without all control tables is about to overtake, in place of their receipts; and puts a
-- receipt back where nothing arrived.
UPDATE {held} SET receipt = ?
WHERE receiver = ? AND la_child_id {children};

-- name: read_held_receipts
-- Reads which of some children have a baseline, and its receipt.
SELECT la_child_id, receipt
FROM {held}
WHERE receiver = ? AND la_child_id {children};

-- name: insert_log
-- Records each record of a POST and its outcome for the audit trail; no payload. What the records have in common is
-- given once.
INSERT INTO {log} (staging_id, person_id, la_child_id, sent_hash, answer, run_id, batch, staging_table, logged_at, kind,
                   http_code, outcome)
SELECT column1, column2, column3, column4, column5, ?, ?, ?, ?time, ?, ?number, ?
FROM {rows};

-- name: read_log_page
-- Reads the next lines of the submission log, whether each is older than LOG_KEEP_DAYS (1) or dated ahead by a wrong clock
-- (2), and its table's name as it was spelled on its night. Lines are added in order.
SELECT id, CASE WHEN logged_at < ?time THEN 1 WHEN logged_at > ?time THEN 2 ELSE 0 END, staging_table
FROM {log}
WHERE id IS NOT NULL {after}
ORDER BY id {page};

-- name: delete_old_log
-- Deletes the old ones among these lines (LOG_KEEP_DAYS), a few thousand at a time. An acceptance stays while its person
-- has a row and the receiver holds nothing: it tells that what the row says was sent is no longer there.
DELETE FROM {log}
WHERE id >= ? AND id <= ? AND logged_at < ?time AND staging_table = ?
  AND NOT (outcome = 'accepted'
           AND EXISTS (SELECT 1 FROM {table} AS here WHERE here.person_id = {log}.person_id{exact})
           AND NOT EXISTS (SELECT 1 FROM {held} AS held
                           WHERE held.la_child_id{exact} = {log}.la_child_id AND held.receiver = ?));

-- name: count_log_lines
-- Counts the lines that are left of those, where the database did not say how many it deleted.
SELECT COUNT(*)
FROM {log}
WHERE id >= ? AND id <= ?;

-- name: read_logged
-- Reads which records of a batch are in the log, after a commit whose answer was lost: what is there is not written
-- again.
SELECT staging_id, sent_hash
FROM {log}
WHERE run_id = CAST(? AS VARCHAR(100)) AND batch = ?;

-- name: insert_run
-- Opens the journal entry of a run.
INSERT INTO {runs} (run_id, staging_table, receiver, mode, payloads, shard, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?time);

-- name: finish_run
-- Closes the journal entry of a run with its counts and its exit code.
UPDATE {runs}
SET finished_at = ?time, due = ?, accepted = ?, refused = ?, undelivered = ?, deleted = ?, unchanged = ?, not_tried = ?,
    exit_code = ?, message = ?text
WHERE run_id = CAST(? AS VARCHAR(100));

-- name: read_unfinished_shards
-- Reads which shards have a run that has not closed its entry, to see whether one that divides the table into another
-- number of shards is at work.
SELECT DISTINCT shard
FROM {runs}
WHERE finished_at IS NULL AND shard IS NOT NULL;

-- name: lock_sqlserver
-- SQL Server: takes the run lock, which the server frees when the connection ends. It locks a name, not the table. The
-- answer is 0 or 1 where the lock was taken, below 0 where somebody else has it. Behind it the session says again how many
-- rows a statement touched, also where a driver sends all of this as one plain batch.
SET NOCOUNT ON;
DECLARE @result INT;
EXEC @result = sp_getapplock @Resource = ?, @LockMode = ?, @LockOwner = 'Session', @LockTimeout = 0;
SELECT @result;
SET NOCOUNT OFF;

-- name: unlock_sqlserver
-- SQL Server: frees a run lock at the end of a run. By itself the server does so a moment after the connection has
-- ended, which is too late for a command that follows at once.
SET NOCOUNT ON;
DECLARE @result INT;
EXEC @result = sp_releaseapplock @Resource = ?, @LockOwner = 'Session';
SELECT @result;
SET NOCOUNT OFF;

-- name: lock_name_sqlserver
-- SQL Server: gives the number of the table, so that every way of writing its name takes the same lock.
SELECT OBJECT_ID(?);

-- name: lock_postgresql
-- PostgreSQL: takes the run lock, which the server frees when the connection ends. It locks a number, not the table.
SELECT CASE WHEN pg_try_advisory_lock(CAST(? AS BIGINT)) THEN 1 ELSE 0 END;

-- name: lock_shared_postgresql
-- PostgreSQL: takes the run lock of the whole table together with the runs of the other shards.
SELECT CASE WHEN pg_try_advisory_lock_shared(CAST(? AS BIGINT)) THEN 1 ELSE 0 END;

-- name: lock_transaction_postgresql
-- PostgreSQL behind a pooler in transaction mode: takes the run lock for as long as the transaction, which does nothing
-- else and stays open until the end of the run. It has no snapshot and locks no row.
SELECT CASE WHEN pg_try_advisory_xact_lock(CAST(? AS BIGINT)) THEN 1 ELSE 0 END;

-- name: lock_transaction_shared_postgresql
-- PostgreSQL behind a pooler in transaction mode: the same, together with the runs of the other shards.
SELECT CASE WHEN pg_try_advisory_xact_lock_shared(CAST(? AS BIGINT)) THEN 1 ELSE 0 END;

-- name: keep_transaction_postgresql
-- PostgreSQL behind a pooler in transaction mode: lets the transaction that holds the run lock wait as long as the run
-- lasts. For this transaction only.
SELECT set_config('idle_in_transaction_session_timeout', '0', TRUE),
       CASE WHEN current_setting('transaction_timeout', TRUE) IS NOT NULL
            THEN set_config('transaction_timeout', '0', TRUE) END;

-- name: unlock_postgresql
-- PostgreSQL: frees the run locks of this session at the end of a run. By itself the server does so a moment after the
-- connection has ended, which is too late for a command that follows at once.
SELECT COUNT(*) FROM pg_advisory_unlock_all();

-- name: lock_name_postgresql
-- PostgreSQL: gives the number of the table, so that every way of writing its name takes the same lock.
SELECT CAST(to_regclass(?) AS OID);

-- name: schemas_without_usage_postgresql
-- PostgreSQL: names the schemas that have a table of this name and that the login may not use, with the login. Run when
-- the table was not found.
SELECT quote_ident(nspname), quote_ident(CAST(current_user AS TEXT))
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE LOWER(relname) = LOWER(CAST(? AS TEXT)) AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
ORDER BY nspname;

-- name: session_postgresql
-- PostgreSQL: gives the number of the server's process, which is this connection's own unless a pooler is in between.
SELECT pg_backend_pid();

-- name: utf8_read_postgresql
-- PostgreSQL: shows whether the driver gives texts in UTF-8, as the server sends them.
SELECT 'é';

-- name: utf8_passed_postgresql
-- PostgreSQL: shows whether the driver takes and gives texts in UTF-8: two letters of five bytes arrive as two letters.
SELECT REPEAT(passed, LENGTH(passed) - 1) FROM (SELECT CAST(? AS TEXT) AS passed) AS given;

-- name: session_settings_postgresql
-- PostgreSQL: limits how long a statement waits for a lock; reads a null in an array of parameters as one, whatever the
-- login's settings say; lets the server notice within two minutes that this session's computer is gone (a power cut), so
-- that the run lock is free again (its default is two hours); and names the program and its run in pg_stat_activity,
-- unless the connection string does. For this session only.
SELECT set_config('lock_timeout', '{milliseconds}ms', FALSE), set_config('array_nulls', 'on', FALSE),
       set_config('tcp_keepalives_idle', '60', FALSE),
       set_config('tcp_keepalives_interval', '10', FALSE), set_config('tcp_keepalives_count', '5', FALSE),
       CASE WHEN current_setting('application_name') = ''
            THEN set_config('application_name', '{program}', FALSE) END;

-- name: transaction_level_postgresql
-- PostgreSQL behind a pooler in transaction mode: begins each transaction in the level that the program is made for.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

-- name: transaction_lock_timeout_postgresql
-- PostgreSQL behind a pooler in transaction mode: limits how long a statement waits for a lock, and reads a null in an
-- array of parameters as one. For this transaction only: other programs use the session after it.
SELECT set_config('lock_timeout', '{milliseconds}ms', TRUE), set_config('array_nulls', 'on', TRUE);

-- name: lock_timeout_sqlserver
-- SQL Server: limits how long a statement waits for a lock. For this session only.
SET LOCK_TIMEOUT {milliseconds};

-- name: row_counts_sqlserver
-- SQL Server: lets every statement say how many rows it touched, whatever the server's default is. For this session
-- only.
SET NOCOUNT OFF;

-- name: transaction_mark_sqlserver
-- SQL Server: makes this session's own mark, a table of one row in tempdb, by which the program knows before a commit
-- that the transaction is still the one that it began.
SELECT CAST(0 AS INT) AS number INTO #d2i_transaction;

-- name: transaction_begin_sqlserver
-- SQL Server: begins a transaction, and writes its number into the mark; a rollback takes the number back.
UPDATE #d2i_transaction SET number = CAST(? AS INT);

-- name: transaction_state_sqlserver
-- SQL Server: reads, before the commit, which transaction this is and whether it can be committed; and after the commit
-- that it was this one.
SELECT number, CASE WHEN @@TRANCOUNT = 1 AND XACT_STATE() = 1 THEN 1 ELSE 0 END FROM #d2i_transaction;

-- name: transaction_begin_postgresql
-- PostgreSQL: begins a transaction, and keeps its number in a setting that lasts as long as the transaction.
SELECT set_config('d2i.transaction_number', ?, TRUE);

-- name: transaction_state_postgresql
-- PostgreSQL: reads, before the commit, which transaction this is.
SELECT current_setting('d2i.transaction_number'), 1;

-- name: busy_wait_sqlite
-- SQLite: limits how long a statement waits for another program that has locked the file.
PRAGMA busy_timeout = {milliseconds};

-- name: transaction_mark_sqlite
-- SQLite through ODBC: makes this connection's own mark, a table that is not a part of the file.
CREATE TEMPORARY TABLE d2i_transaction AS SELECT 0 AS number;

-- name: transaction_begin_sqlite
-- SQLite through ODBC: writes the number of a transaction into the mark.
UPDATE temp.d2i_transaction SET number = ?;

-- name: transaction_version_sqlite
-- SQLite through ODBC: reads the number that the file's owner gave to its version.
PRAGMA main.user_version;

-- name: transaction_lock_sqlite
-- SQLite through ODBC: writes the same number again, so that the transaction may write from its beginning.
PRAGMA main.user_version = {version};

-- name: transaction_state_sqlite
-- SQLite through ODBC: reads, before the commit and after it, which transaction this is.
SELECT number, 1 FROM temp.d2i_transaction;

-- name: lock_name_sqlite
-- SQLite: gives the database's file, beside which the lock file stands.
PRAGMA database_list;

-- name: oldest_pending
-- Finds since when the longest waiting pending row waits, and how many due rows may have a blank payload, in one reading
-- of the due rows. A child that left before anything was sent waits for nothing. {moment} is a time without a zone: no
-- ODBC driver for Python reads SQL Server's DATETIMEOFFSET. The condition of the index of due rows stands here word for
-- word, so that no other row is looked at.
SELECT CAST(MIN(CASE WHEN (LOWER(LTRIM(RTRIM(submission_status))) = 'pending' {odd_words})
                      AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted'
                           OR previous_hash IS NOT NULL OR previous_json_payload IS NOT NULL)
                     THEN last_updated END) AS {moment}),
       SUM(CASE WHEN CAST(json_payload AS VARCHAR(50)) LIKE '%"%' THEN 0 ELSE 1 END)
FROM {table}
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted' {odd_words});

-- name: oldest_due
-- Finds since when the longest waiting due row waits, whatever its status, for METRICS_FILE.
-- {moment} is a time without a zone: no ODBC driver for Python reads SQL Server's DATETIMEOFFSET.
SELECT CAST(MIN(last_updated) AS {moment})
FROM {table}
WHERE LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
  AND (row_state IS NULL OR LOWER(LTRIM(RTRIM(row_state))) <> 'deleted'
       OR previous_hash IS NOT NULL OR previous_json_payload IS NOT NULL);

-- name: frequent_errors
-- Counts the rows in error by the beginning of the answer they got, the most frequent first. The condition of the index
-- of due rows stands here word for word, as above.
SELECT SUBSTRING(api_response, 1, 300), COUNT(*), MIN(person_id), MIN(id)
FROM {table}
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted' {odd_words})
  AND (LOWER(LTRIM(RTRIM(submission_status))) = 'error' {odd_words})
GROUP BY SUBSTRING(api_response, 1, 300)
ORDER BY COUNT(*) DESC {page};

-- name: find_run
-- Finds a run in the journal: a saved receipt counts only if the journal has its run.
SELECT run_id
FROM {runs}
WHERE run_id = CAST(? AS VARCHAR(100));

-- name: read_spellings
-- Reads how runs spelled the names of their tables, to find those that mean the same table.
SELECT DISTINCT staging_table
FROM {runs};

-- name: read_receivers
-- Reads which receivers accepted records of this table from runs, the first one first: what the rows of another tool say
-- was sent, was sent there. A run that had nothing to send says nothing of the address it was given.
SELECT receiver
FROM {runs}
WHERE staging_table {spellings} AND mode = 'live' AND accepted > 0
GROUP BY receiver
ORDER BY MIN(started_at);

-- name: last_runs
-- Reads the latest entries of the journal for this table. One that a clock far ahead dated after the time given comes last:
-- it is none of the latest.
SELECT run_id, mode, payloads, shard, started_at, finished_at, due, accepted, refused, undelivered, deleted, unchanged,
       not_tried, exit_code, message
FROM {runs}
WHERE staging_table {spellings}
ORDER BY CASE WHEN started_at > ?time THEN 1 ELSE 0 END, started_at DESC {page};

-- name: count_requeue
-- Counts the rows in error that requeue is about to put back.
SELECT COUNT(*)
FROM {table}
WHERE (LOWER(LTRIM(RTRIM(submission_status))) = 'error' {odd_words}) {person} {matching};

-- name: requeue
-- Puts rows in error back to pending, so that the next run sends them; nothing else changes.
UPDATE {table}
SET submission_status = 'pending'
WHERE (LOWER(LTRIM(RTRIM(submission_status))) = 'error' {odd_words}) {person} {matching};
