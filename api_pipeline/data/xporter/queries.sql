-- name: schools
-- All schools that the collector knows, with what is known of their consent.
SELECT estab, school_name, state, scopes, authorised_at, revoked_at, purged_at, purged_rows, secret_version,
    state_since, checked_at, problem
FROM {school} ORDER BY estab;

-- name: insert_school
-- A school that was not known yet.
INSERT INTO {school} (estab, school_name, state, scopes, authorised_at, revoked_at, secret_version, state_since,
    checked_at, problem)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_school
-- What is known of a school now.
UPDATE {school} SET school_name = ?, state = ?, scopes = ?, authorised_at = ?, revoked_at = ?, secret_version = ?,
    state_since = ?, checked_at = ?, problem = ?
WHERE estab = ?;

-- name: mark_purged
-- The proof that a school's rows were removed: when, and how many.
UPDATE {school} SET state = ?, purged_at = ?, purged_rows = ?, scopes = NULL, secret_version = ?, state_since = ?
WHERE estab = ?;

-- name: syncs
-- The state of every school, endpoint and window of time.
SELECT estab, endpoint, time_window, params_hash, row_count, round_started, round_ended, data_as_of, problem,
    problem_at, attempts
FROM {sync} ORDER BY estab, endpoint, time_window;

-- name: school_syncs
-- The same of one school, before its endpoints are asked.
SELECT endpoint, time_window, params_hash, row_count, round_ended, next_hash, change_key, last_full
FROM {sync} WHERE estab = ?;

-- name: insert_sync
-- The first complete round of a school, endpoint and window; in the transaction of its rows.
INSERT INTO {sync} (params_hash, row_count, round_started, round_ended, data_as_of, meta, next_hash, change_key,
    last_full, attempts, estab, endpoint, time_window)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?);

-- name: update_sync
-- A later complete round; in the transaction of its rows.
UPDATE {sync} SET params_hash = ?, row_count = ?, round_started = ?, round_ended = ?, data_as_of = ?, meta = ?,
    next_hash = ?, change_key = ?, last_full = COALESCE(?, last_full), attempts = 0, problem = NULL, problem_at = NULL
WHERE estab = ? AND endpoint = ? AND time_window = ?;

-- name: insert_sync_problem
-- A round that could not be completed, of which none ever was.
INSERT INTO {sync} (problem, problem_at, attempts, estab, endpoint, time_window) VALUES (?, ?, 1, ?, ?, ?);

-- name: update_sync_problem
-- A round that could not be completed; what is landed stays as it is.
UPDATE {sync} SET problem = ?, problem_at = ?, attempts = COALESCE(attempts, 0) + 1
WHERE estab = ? AND endpoint = ? AND time_window = ?;

-- name: adjust_sync
-- The count of rows after some were removed because a person or a scope was withdrawn; in the same transaction. What is
-- landed is no longer what the API knows as our snapshot.
UPDATE {sync} SET row_count = ?, next_hash = NULL WHERE estab = ? AND endpoint = ? AND time_window = ?;

-- name: count_keyed
-- Sees whether a row of a state table is there, where the database did not say how many rows an update touched.
SELECT COUNT(*) FROM {table} WHERE {key};

-- name: delete_syncs
-- Forgets the state of a school whose consent ended; in the transaction that removes its rows.
DELETE FROM {sync} WHERE estab = ?;

-- name: delete_endpoint_syncs
-- Forgets the state of an endpoint that a school's consent covers no longer; with its rows.
DELETE FROM {sync} WHERE estab = ? AND endpoint = ?;

-- name: reopen_windows
-- Lets closed weeks be requested again: they were landed without a pupil who is new, or back, on the landed roll.
UPDATE {sync} SET params_hash = '' WHERE estab = ? AND time_window <> '';

-- name: snapshot
-- The API's name for the snapshot that is landed for a school, endpoint and window.
SELECT next_hash FROM {sync} WHERE estab = ? AND endpoint = ? AND time_window = ?;

-- name: forget_snapshot
-- Lets the whole set be requested again: a list in a landed row is no longer what the API sent.
UPDATE {sync} SET next_hash = NULL WHERE estab = ? AND endpoint = ? AND time_window = ?;

-- name: sync_windows
-- The windows of a school and endpoint that have a state.
SELECT time_window FROM {sync} WHERE estab = ? AND endpoint = ? AND row_count IS NOT NULL;

-- name: insert_run
-- One entry a collection, begun when it starts.
INSERT INTO {run} (run_id, started_at) VALUES (?, ?);

-- name: finish_run
-- Closes the entry of a collection with its counts.
UPDATE {run} SET finished_at = ?, schools = ?, rounds = ?, added = ?, changed = ?, deleted = ?, unchanged = ?,
    requests = ?, received_bytes = ?, exit_code = ?, message = ?
WHERE run_id = ?;

-- name: runs
-- The collections, the newest first; one that a clock far ahead dated after the time given comes last.
SELECT run_id, started_at, finished_at, schools, rounds, added, changed, deleted, unchanged, requests, received_bytes,
    exit_code, message
FROM {run} ORDER BY CASE WHEN started_at > ? THEN 1 ELSE 0 END, started_at DESC;

-- name: delete_run_log
-- A round that is repeated within a collection replaces its entry.
DELETE FROM {run_log} WHERE run_id = ? AND estab = ? AND endpoint = ? AND time_window = ?;

-- name: insert_run_log
-- What became of one school, endpoint and window in a collection: counts, no values.
INSERT INTO {run_log} (run_id, estab, endpoint, time_window, logged_at, outcome, added, changed, deleted, unchanged,
    dropped, received_bytes, milliseconds, message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: run_log
-- The entries of one collection.
SELECT estab, endpoint, time_window, outcome, added, changed, deleted, unchanged, dropped, milliseconds, message
FROM {run_log} WHERE run_id = ? ORDER BY estab, endpoint, time_window;

-- name: update_column
-- A member without a column was seen again.
UPDATE {column} SET last_seen = ?, estab = ? WHERE table_name = ? AND column_name = ?;

-- name: insert_column
-- A member without a column was seen for the first time: its values are in `extra`.
INSERT INTO {column} (table_name, column_name, first_seen, last_seen, estab) VALUES (?, ?, ?, ?, ?);

-- name: columns
-- Members that have no column of their own.
SELECT table_name, column_name, first_seen, last_seen, estab FROM {column} ORDER BY table_name, column_name;

-- name: delete_matches
-- The proposals are made anew each time.
DELETE FROM {match};

-- name: delete_school_matches
-- Forgets the proposals that rest on a school whose consent ended.
DELETE FROM {match} WHERE estab = ?;

-- name: delete_pupil_matches
-- Forgets the proposals that rest on a pupil who is no longer on the roll.
DELETE FROM {match} WHERE estab = ? AND student_id = ?;

-- name: insert_match
-- One proposal for a worker to look at; never written to the SSD or a payload.
INSERT INTO {match} (person_id, kind, estab, student_id, upn, former_upn, is_valid_upn, found_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: tables_sqlserver
-- The tables of the wing's schema.
SELECT t.name FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE s.name = ?;

-- name: tables_postgresql
-- The same, those too on which the account has no right: no row in them may be passed over when a school revokes.
SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = ?;

-- name: tables_sqlite
-- The same: SQLite has no schemas, and the names begin alike.
SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ? || '%';

-- name: views_sqlite
-- The wing's views and the statements that made them, on SQLite, which cannot replace a view.
SELECT name, sql FROM sqlite_master WHERE type = 'view' AND name LIKE 'xporter_%';

-- name: columns_sqlserver
-- The columns of the wing's tables.
SELECT t.name, c.name FROM sys.tables AS t INNER JOIN sys.schemas AS s ON s.schema_id = t.schema_id
    INNER JOIN sys.columns AS c ON c.object_id = t.object_id WHERE s.name = ?;

-- name: columns_postgresql
-- The same.
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ?;

-- name: columns_sqlite
-- The same.
SELECT t.name, c.name FROM sqlite_master AS t INNER JOIN pragma_table_info(t.name) AS c
WHERE t.type = 'table' AND t.name LIKE ? || '%';

-- name: add_column
-- Gives a landing table a column for a member that is not published (XPORTER_NEW_COLUMNS=add).
ALTER TABLE {table} ADD {name} {type} NULL;

-- name: landed_hashes
-- Key and hash of every landed row of a school and window, to be compared with an answer.
SELECT row_key, row_sha FROM {table} WHERE estab = ? AND time_window = ?;

-- name: landed_count
-- How many rows of a school and window are landed.
SELECT COUNT(*) FROM {table} WHERE estab = ? AND time_window = ?;

-- name: written_count
-- How many rows of a school and window are landed, and how many of them a collection wrote.
SELECT COUNT(*), COUNT(CASE WHEN run_id = ? THEN 1 END) FROM {table} WHERE estab = ? AND time_window = ?;

-- name: school_count
-- How many rows of a school a table has: before it is emptied, and after.
SELECT COUNT(*) FROM {table} WHERE estab = ?;

-- name: delete_rows
-- Removes rows that an answer no longer names.
DELETE FROM {table} WHERE estab = ? AND time_window = ? AND row_key {keys};

-- name: update_rows
-- Brings rows to what an answer says of them. {sets} gives each column of the answer its value of {rows}, a table of
-- parameters with the columns column1 (the key), column2 ... The keys stand there twice so that every database finds
-- the rows by them.
UPDATE {table} SET {sets}, changed_at = ?, run_id = ?
FROM {rows}
WHERE estab = ? AND time_window = ? AND row_key = given.column1 AND row_key {keys};

-- name: delete_school_rows
-- Removes every row of a school whose consent ended.
DELETE FROM {table} WHERE estab = ?;

-- name: delete_owned
-- Removes the rows of a pupil who was withdrawn, in one window that is not asked any more; and the rows that belong to
-- pupils through such a row, once no other row names them. Ids are landed as they came, with the blanks around them.
DELETE FROM {table} WHERE estab = ? AND time_window = ? AND LTRIM(RTRIM({owner})) = ?;

-- name: owned_links
-- What ties rows of other tables of an endpoint to the rows of one: read before and after a pupil's rows are removed.
SELECT DISTINCT {column} FROM {table} WHERE estab = ? AND time_window = ? AND {column} IS NOT NULL;

-- name: school_owners
-- What says whom a school's rows of a table without published columns are about: read when a pupil was withdrawn.
SELECT time_window, row_key, {columns} FROM {table} WHERE estab = ?;

-- name: school_extras
-- Members without a column in which a list may name pupils: read when a pupil was withdrawn.
SELECT time_window, row_key, extra FROM {table} WHERE estab = ? AND LOWER(extra) LIKE '%student%';

-- name: pupil_lists
-- Lists of pupils in a school's rows: read when a pupil was withdrawn.
SELECT time_window, row_key, {column} FROM {table} WHERE estab = ? AND {column} IS NOT NULL;

-- name: update_pupil_list
-- Takes a pupil who was withdrawn out of a list; without its hash a row is compared anew.
UPDATE {table} SET {column} = ?, row_sha = '' WHERE estab = ? AND time_window = ? AND row_key = ?;

-- name: withdraw_columns
-- Empties columns of a school that took back their consent scopes; without its hash a row is compared anew.
UPDATE {table} SET {assignments}, extra = NULL, row_sha = '' WHERE estab = ?;

-- name: withdraw_left
-- How many rows of a school the statement before has not changed.
SELECT COUNT(*) FROM {table} WHERE estab = ? AND row_sha <> '';

-- name: owned_ids
-- The Ids that tie rows of other tables to a pupil.
SELECT DISTINCT {column} FROM {table} WHERE estab = ? AND {column} IS NOT NULL;

-- name: cohort_people
-- The people in the SSD, to be matched with pupils.
SELECT pers_person_id, pers_upn, pers_upn_unknown, pers_forename, pers_surname, pers_sex, pers_dob FROM {person};

-- name: pupils
-- The landed pupils, to be matched with the SSD.
SELECT estab, row_key, {columns} FROM {table};

-- name: in_care
-- The people whom the SSD has in care today.
SELECT DISTINCT clae_person_id FROM {cla} WHERE clae_cla_episode_ceased_date IS NULL;

-- name: probe_person
-- Whether the SSD's people can be read: reads nothing.
SELECT pers_person_id, pers_upn FROM {prefix}ssd_person WHERE 1 = 0;

-- name: probe_cin
-- The same of CIN episodes.
SELECT cine_person_id, cine_close_date FROM {prefix}ssd_cin_episodes WHERE 1 = 0;

-- name: probe_cla
-- The same of CLA episodes.
SELECT clae_person_id, clae_cla_episode_ceased_date FROM {prefix}ssd_cla_episodes WHERE 1 = 0;

-- name: outbox_open
-- The rows of a school that are not done, the oldest first.
SELECT id, kind, body, status, sent_at, attempts, seen_before, actual_ids FROM {outbox}
WHERE LTRIM(RTRIM(estab)) = ? AND LOWER(LTRIM(RTRIM(status))) IN ('pending', 'unknown', 'submitted') ORDER BY id;

-- name: outbox_schools
-- The schools that have rows that are not done.
SELECT DISTINCT LTRIM(RTRIM(estab)) AS school FROM {outbox}
WHERE LOWER(LTRIM(RTRIM(status))) IN ('pending', 'unknown', 'submitted') ORDER BY school;

-- name: outbox_claims
-- The records of a school and day that rows of the outbox are already.
SELECT actual_ids FROM {outbox}
WHERE LTRIM(RTRIM(estab)) = ? AND LOWER(LTRIM(RTRIM(kind))) = ? AND group_key = ? AND status = 'confirmed' AND actual_ids IS NOT NULL;

-- name: outbox_sent
-- The rows of a school, kind and day that were sent and not refused.
SELECT id, kind, body, status, sent_at, attempts, seen_before, actual_ids FROM {outbox}
WHERE LTRIM(RTRIM(estab)) = ? AND LOWER(LTRIM(RTRIM(kind))) = ? AND group_key = ?
    AND status IN ('unknown', 'submitted', 'confirmed', 'error');

-- name: outbox_counts
-- How many rows stand where, by school.
SELECT LTRIM(RTRIM(estab)) AS school, LTRIM(RTRIM(status)) AS state, COUNT(*) FROM {outbox}
GROUP BY LTRIM(RTRIM(estab)), LTRIM(RTRIM(status)) ORDER BY school, state;

-- name: outbox_sending
-- Marks a row before it is sent: whatever happens then, it is read before it is sent again.
UPDATE {outbox} SET status = 'unknown', group_key = ?, sent_at = ?, attempts = COALESCE(attempts, 0) + 1,
    seen_before = ?, answer = ?, updated_at = ?
WHERE id = ? AND LOWER(LTRIM(RTRIM(status))) = 'pending';

-- name: outbox_take_back
-- Puts a row back that was marked before it was sent, and is in no request because the write-back was stopped.
UPDATE {outbox} SET status = 'pending', sent_at = ?, attempts = ?, seen_before = ?, answer = ?, updated_at = ?
WHERE id = ? AND status = 'unknown';

-- name: outbox_answer
-- What the answer to a request says of a row.
UPDATE {outbox} SET status = ?, answer = ?, tracking_id = ?, actual_ids = ?, updated_at = ? WHERE id = ?;

-- name: outbox_settle
-- What reading again, or a check before sending, says of a row.
UPDATE {outbox} SET status = ?, answer = ?, group_key = ?, actual_ids = ?, confirmed_at = ?, updated_at = ?
WHERE id = ?;

-- name: delete_school_outbox
-- Removes what was to be written into a school whose consent ended.
DELETE FROM {outbox} WHERE LTRIM(RTRIM(estab)) = ?;
