-- The statements by which test-schema tries the rights that a run needs, beside may_write of queries.sql. Each changes no
-- row: it fails where the login may not do what a run does. An INSERT names every column that must have a value: SQL
-- Server may refuse one that leaves such a column out (error 515) before it looks for rows.

-- name: may_change_held
-- Changes no row: fails where the login may not keep baselines as a run does.
DELETE FROM {held} WHERE 1 = 0;

-- name: may_insert_held
-- Adds no row: fails where the login may not keep baselines as a run does.
INSERT INTO {held} (receiver, la_child_id, held_hash)
SELECT receiver, la_child_id, held_hash FROM {held} WHERE 1 = 0;

-- name: may_update_held
-- Changes no row: fails where the login may not mark baselines, as a run without all control tables does.
UPDATE {held} SET receipt = receipt WHERE 1 = 0;

-- name: may_insert_log
-- Adds no row: fails where the login may not log a record as a run does.
INSERT INTO {log} (run_id, batch, staging_table, staging_id, kind, sent_hash, outcome, logged_at)
SELECT run_id, batch, staging_table, staging_id, kind, sent_hash, outcome, logged_at FROM {log} WHERE 1 = 0;

-- name: may_change_unconfirmed
-- Changes no row: fails where the login may not keep what is in doubt as a run does.
DELETE FROM {unconfirmed} WHERE 1 = 0;

-- name: may_insert_unconfirmed
-- Adds no row: fails where the login may not keep what is in doubt as a run does.
INSERT INTO {unconfirmed} (receiver, la_child_id, payload_hash, run_id, begun_at)
SELECT receiver, la_child_id, payload_hash, run_id, begun_at FROM {unconfirmed} WHERE 1 = 0;

-- name: may_update_unconfirmed
-- Changes no row: fails where the login may not record what a receiver may hold, as a run does when an answer is lost.
UPDATE {unconfirmed} SET may_hold = may_hold WHERE 1 = 0;

-- name: may_insert_run
-- Adds no row: fails where the login may not write the journal as a run does.
INSERT INTO {runs} (run_id, staging_table, receiver, mode, payloads, started_at)
SELECT run_id, staging_table, receiver, mode, payloads, started_at FROM {runs} WHERE 1 = 0;

-- name: may_change_run
-- Changes no row: fails where the login may not write the journal as a run does.
UPDATE {runs} SET exit_code = exit_code WHERE 1 = 0;
