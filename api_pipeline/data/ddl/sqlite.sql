-- Tables of csc-api-pipeline for SQLite. Times are kept as text, YYYY-MM-DD HH:MM:SS.FFF.
--
-- Safe to run again: it makes what is missing, and never drops, empties or changes a table or a row that is there.
-- There are no grants: who may read the file may read everything, so protect the file and its folder.

-- The staging table: one row for each child of the cohort, with the payload to be sent. A table that is there already
-- (made by earlier scripts, in any of their layouts) is left exactly as it is.
CREATE TABLE IF NOT EXISTS {staging} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- given by the database; rows are read in its order
    person_id TEXT NULL,  -- the person in the SSD; the same as la_child_id
    legacy_id TEXT NULL,  -- the other system's id, sent as mis_child_id
    previous_json_payload TEXT NULL,  -- the payload that was sent last
    json_payload TEXT NOT NULL,  -- the whole payload of one child: a JSON object
    partial_json_payload TEXT NULL,  -- what was sent instead, where only changes were sent
    current_hash BLOB NULL,  -- SHA-256 that says which version the payload is
    previous_hash BLOB NULL,  -- SHA-256 that says which version was sent last
    submission_status TEXT NULL DEFAULT 'pending',  -- pending, sent, error, testing
    submission_timestamp TEXT NULL,  -- the receipt's time; no default: nothing was sent yet
    api_response TEXT NULL,  -- the receipt, or code and reason
    row_state TEXT NULL DEFAULT 'new',  -- new, updated, unchanged, deleted
    last_updated TEXT NULL DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'now', 'localtime'))  -- its last change, local time
);

-- Its anonymised copy: invented children only, for rehearsals and for the test receiver. Left as it is where it exists.
CREATE TABLE IF NOT EXISTS {anon} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- given by the database; rows are read in its order
    person_id TEXT NULL,  -- the person in the SSD; the same as la_child_id
    legacy_id TEXT NULL,  -- the other system's id, sent as mis_child_id
    previous_json_payload TEXT NULL,  -- the payload that was sent last
    json_payload TEXT NOT NULL,  -- the whole payload of one child: a JSON object
    partial_json_payload TEXT NULL,  -- what was sent instead, where only changes were sent
    current_hash BLOB NULL,  -- SHA-256 that says which version the payload is
    previous_hash BLOB NULL,  -- SHA-256 that says which version was sent last
    submission_status TEXT NULL DEFAULT 'pending',  -- pending, sent, error, testing
    submission_timestamp TEXT NULL,  -- the receipt's time; no default: nothing was sent yet
    api_response TEXT NULL,  -- the receipt, or code and reason
    row_state TEXT NULL DEFAULT 'new',  -- new, updated, unchanged, deleted
    last_updated TEXT NULL DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'now', 'localtime'))  -- its last change, local time
);

-- What a receiver holds of a child now: changes are found by comparing with it, vanished parts by missing them.
-- It holds personal data like the staging table, and deserves the same care and the same backup.
-- Times are UTC.
CREATE TABLE IF NOT EXISTS {held} (
{held_columns}
);

-- The audit trail: one row for each record that a run sent. No payload is kept here: `answer` is the receipt, or the
-- reason with every value that it quotes masked.
CREATE TABLE IF NOT EXISTS {log} (
{log_columns}
);

-- One row for a child for whom a POST began whose answer is not known yet. Empty after a clean run; what is left after
-- a power cut tells the next run which children need care.
CREATE TABLE IF NOT EXISTS {unconfirmed} (
{unconfirmed_columns}
);

-- Which parts of a child's record are in the SSD but outside the time window: they leave the payload, and are yet not
-- to be purged at the receiver. Written by `stage` (PURGE_LEFT_WINDOW=false), read by `run`; holds ids alone.
CREATE TABLE IF NOT EXISTS {left_window} (
{left_window_columns}
);

-- What `stage` built each staged payload from, as hashes: what is built from the same stays, and need not be built
-- again. Written and read by `stage` alone. It may be emptied at any time: the next staging then takes longer.
CREATE TABLE IF NOT EXISTS {built} (
{built_columns}
);

-- The journal: one row for each run, opened at its start and closed at its end. Times are UTC.
CREATE TABLE IF NOT EXISTS {runs} (
{runs_columns}
);

-- Holds the due rows of the staging table alone, in the order in which they are read: a night with few changes then
-- reads few rows. Its condition is the program's own, word for word. It is added to a table that exists as well;
-- that changes no row, and only keeps writers waiting while it is built.
CREATE INDEX IF NOT EXISTS {staging_due_index} ON {staging_unqualified} (id)
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted');

-- Finds one person's rows in the staging table. Not unique: in tables of earlier builds a person may have more than
-- one row.
CREATE INDEX IF NOT EXISTS {staging_person_index} ON {staging_unqualified} (person_id);

-- Holds the due rows of the anonymised copy alone, in the order in which they are read: a night with few changes then
-- reads few rows. Its condition is the program's own, word for word. It is added to a table that exists as well;
-- that changes no row, and only keeps writers waiting while it is built.
CREATE INDEX IF NOT EXISTS {anon_due_index} ON {anon_unqualified} (id)
WHERE json_payload IS NOT NULL
  AND (LOWER(LTRIM(RTRIM(submission_status))) IN ('pending', 'error', 'testing')
       OR LOWER(LTRIM(RTRIM(row_state))) = 'deleted');

-- Finds one person's rows in the anonymised copy. Not unique: in tables of earlier builds a person may have more than
-- one row.
CREATE INDEX IF NOT EXISTS {anon_person_index} ON {anon_unqualified} (person_id);

-- Finds what one run sent.
CREATE INDEX IF NOT EXISTS {log_run_index} ON {log_unqualified} (run_id);

-- Finds what was ever sent of one person.
CREATE INDEX IF NOT EXISTS {log_person_index} ON {log_unqualified} (person_id);

-- Finds by which records a receiver came to hold one child.
CREATE INDEX IF NOT EXISTS {log_child_index} ON {log_unqualified} (la_child_id);

-- Four invented children for a first rehearsal, one of each kind: new, changed, refused before, left the cohort. Only
-- where the anonymised copy is empty, and gives ids by itself. They carry no hash: the program then compares the
-- payload itself.
INSERT INTO {anon}
    (person_id, previous_json_payload, json_payload, submission_status, api_response, row_state)
SELECT * FROM (
    VALUES
    ('SAMPLE1', NULL,
     '{"la_child_id":"SAMPLE1","child_details":{"first_name":"Ada","surname":"Sample","date_of_birth":"2015-04-12","sex":"F","ethnicity":"WBRI","postcode":"AA1 1AA"},"social_care_episodes":[{"social_care_episode_id":"SAMPLE1E1","referral_date":"2026-01-05","referral_source":"1A"}]}',
     'pending', NULL, 'new'),
    ('SAMPLE2', '{"la_child_id":"SAMPLE2","child_details":{"first_name":"Ben","surname":"Sample","date_of_birth":"2012-09-30","sex":"M","ethnicity":"BAFR","postcode":"AA2 2AA"}}',
     '{"la_child_id":"SAMPLE2","child_details":{"first_name":"Ben","surname":"Sample","date_of_birth":"2012-09-30","sex":"M","ethnicity":"BAFR","postcode":"AA2 2AA"},"social_care_episodes":[{"social_care_episode_id":"SAMPLE2E1","referral_date":"2026-02-16","referral_source":"3A","child_in_need_plans":[{"child_in_need_plan_id":"SAMPLE2P1","start_date":"2026-03-02"}]}]}',
     'pending', NULL, 'updated'),
    ('SAMPLE3', NULL,
     '{"la_child_id":"SAMPLE3","child_details":{"first_name":"Cai","surname":"Sample","date_of_birth":"2018-12-01","sex":"U","ethnicity":"MOTH","disabilities":["NONE"]},"health_and_wellbeing":{"sdq_assessments":[{"date":"2026-05-20","score":11}]}}',
     'error', 'Sample of a refused record', 'new'),
    ('SAMPLE4', '{"la_child_id":"SAMPLE4","child_details":{"first_name":"Dee","surname":"Sample","date_of_birth":"2009-07-23","sex":"F","ethnicity":"AIND"}}',
     '{"la_child_id":"SAMPLE4","child_details":{"first_name":"Dee","surname":"Sample","date_of_birth":"2009-07-23","sex":"F","ethnicity":"AIND"}}',
     'sent', '00000000-0000-4000-8000-000000000004', 'deleted')
) WHERE NOT EXISTS (SELECT 1 FROM {anon});
