-- Tables of csc-api-pipeline for SQL Server {sqlserver_versions}.
--
-- Safe to run again: it makes what is missing, and never drops, empties or changes a table or a row that is there. The
-- schema must exist. Run it as an account that may create tables in it; the service account of the nightly job needs
-- no such right (see the grants at the end). It keeps to what SQL Server 2012 knows, so that it is the same for every
-- version. An index that is found there although the catalogue does not show its name (errors 1913, 2714) is left as
-- it is, like everything else. One that a table of your own cannot have, because its key is too long (1919, 1944), is
-- left out, and so are those of a view or a synonym: they only make things faster.

-- sqlcmd and jobs of SQL Server Agent have this off. A table of your own with a filtered index, an indexed view or an
-- indexed computed column takes no further index then (error 1934).
SET QUOTED_IDENTIFIER ON;
GO

-- The staging table: one row for each child of the cohort, with the payload to be sent. A table that is there already
-- (made by earlier scripts, in any of their layouts) is left exactly as it is.
IF OBJECT_ID(N'{staging}') IS NULL
CREATE TABLE {staging} (
    id INT IDENTITY(1,1) NOT NULL PRIMARY KEY,  -- given by the database; rows are read in its order
    person_id NVARCHAR(48) NULL,  -- the person in the SSD; as long as there: one id too long fails the whole build
    legacy_id NVARCHAR(36) NULL,  -- the other system's id, sent as mis_child_id
    previous_json_payload NVARCHAR(MAX) NULL,  -- the payload that was sent last
    json_payload NVARCHAR(MAX) NOT NULL,  -- the whole payload of one child: a JSON object
    partial_json_payload NVARCHAR(MAX) NULL,  -- what was sent instead, where only changes were sent
    current_hash BINARY(32) NULL,  -- SHA-256 that says which version the payload is
    previous_hash BINARY(32) NULL,  -- SHA-256 that says which version was sent last
    submission_status NVARCHAR(50) NULL DEFAULT N'pending',  -- pending, sent, error, testing
    submission_timestamp DATETIME NULL,  -- the receipt's time; no default: nothing was sent yet
    api_response NVARCHAR(MAX) NULL,  -- the receipt, or code and reason
    row_state NVARCHAR(10) NULL DEFAULT N'new',  -- new, updated, unchanged, deleted
    last_updated DATETIME NULL DEFAULT GETDATE()  -- its last change, local time
);
GO

-- Its anonymised copy: invented children only, for rehearsals and for the test receiver. Left as it is where it exists.
IF OBJECT_ID(N'{anon}') IS NULL
CREATE TABLE {anon} (
    id INT IDENTITY(1,1) NOT NULL PRIMARY KEY,  -- given by the database; rows are read in its order
    person_id NVARCHAR(48) NULL,  -- the person in the SSD; as long as there: one id too long fails the whole build
    legacy_id NVARCHAR(36) NULL,  -- the other system's id, sent as mis_child_id
    previous_json_payload NVARCHAR(MAX) NULL,  -- the payload that was sent last
    json_payload NVARCHAR(MAX) NOT NULL,  -- the whole payload of one child: a JSON object
    partial_json_payload NVARCHAR(MAX) NULL,  -- what was sent instead, where only changes were sent
    current_hash BINARY(32) NULL,  -- SHA-256 that says which version the payload is
    previous_hash BINARY(32) NULL,  -- SHA-256 that says which version was sent last
    submission_status NVARCHAR(50) NULL DEFAULT N'pending',  -- pending, sent, error, testing
    submission_timestamp DATETIME NULL,  -- the receipt's time; no default: nothing was sent yet
    api_response NVARCHAR(MAX) NULL,  -- the receipt, or code and reason
    row_state NVARCHAR(10) NULL DEFAULT N'new',  -- new, updated, unchanged, deleted
    last_updated DATETIME NULL DEFAULT GETDATE()  -- its last change, local time
);
GO

-- What a receiver holds of a child now: changes are found by comparing with it, vanished parts by missing them.
-- It holds personal data like the staging table, and deserves the same care and the same backup.
-- The key compares letter by letter (BIN2): some systems give ids that differ in case alone. A query of
-- your own that joins it to person_id needs COLLATE on one side. Times are UTC.
IF OBJECT_ID(N'{held}') IS NULL
CREATE TABLE {held} (
{held_columns}
);
GO

-- The audit trail: one row for each record that a run sent. No payload is kept here: `answer` is the receipt, or the
-- reason with every value that it quotes masked.
IF OBJECT_ID(N'{log}') IS NULL
CREATE TABLE {log} (
{log_columns}
);
GO

-- One row for a child for whom a POST began whose answer is not known yet. Empty after a clean run; what is left after
-- a power cut tells the next run which children need care.
IF OBJECT_ID(N'{unconfirmed}') IS NULL
CREATE TABLE {unconfirmed} (
{unconfirmed_columns}
);
GO

-- Which parts of a child's record are in the SSD but outside the time window: they leave the payload, and are yet not
-- to be purged at the receiver. Written by `stage` (PURGE_LEFT_WINDOW=false), read by `run`; holds ids alone.
IF OBJECT_ID(N'{left_window}') IS NULL
CREATE TABLE {left_window} (
{left_window_columns}
);
GO

-- What `stage` built each staged payload from, as hashes: what is built from the same stays, and need not be built
-- again. Written and read by `stage` alone. It may be emptied at any time: the next staging then takes longer.
IF OBJECT_ID(N'{built}') IS NULL
CREATE TABLE {built} (
{built_columns}
);
GO

-- The journal: one row for each run, opened at its start and closed at its end. Times are UTC.
IF OBJECT_ID(N'{runs}') IS NULL
CREATE TABLE {runs} (
{runs_columns}
);
GO

-- Lets the server walk through the staging table in the order of id and see which rows are due without reading every
-- payload. It is added to a table that exists as well; that changes no row, and only keeps writers waiting while it
-- is built.
CREATE INDEX {staging_due_index} ON {staging} (id) INCLUDE (submission_status, row_state);
GO

-- Finds one person's rows in the staging table. Not unique: in tables of earlier builds a person may have more than
-- one row.
CREATE INDEX {staging_person_index} ON {staging} (person_id);
GO

-- Lets the server walk through the anonymised copy in the order of id and see which rows are due without reading every
-- payload. It is added to a table that exists as well; that changes no row, and only keeps writers waiting while it
-- is built.
CREATE INDEX {anon_due_index} ON {anon} (id) INCLUDE (submission_status, row_state);
GO

-- Finds one person's rows in the anonymised copy. Not unique: in tables of earlier builds a person may have more than
-- one row.
CREATE INDEX {anon_person_index} ON {anon} (person_id);
GO

-- Finds what one run sent.
CREATE INDEX {log_run_index} ON {log} (run_id);
GO

-- Finds what was ever sent of one person.
CREATE INDEX {log_person_index} ON {log} (person_id);
GO

-- Finds by which records a receiver came to hold one child.
CREATE INDEX {log_child_index} ON {log} (la_child_id);
GO

-- Four invented children for a first rehearsal, one of each kind: new, changed, refused before, left the cohort. Only
-- where the anonymised copy is empty, and gives ids by itself. They carry no hash: the program then compares the
-- payload itself.
IF NOT EXISTS (SELECT 1 FROM {anon})
   AND EXISTS (SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID(N'{anon}') AND is_identity = 1)
INSERT INTO {anon}
    (person_id, previous_json_payload, json_payload, submission_status, api_response, row_state)
VALUES
    (N'SAMPLE1', NULL,
     N'{"la_child_id":"SAMPLE1","child_details":{"first_name":"Ada","surname":"Sample","date_of_birth":"2015-04-12","sex":"F","ethnicity":"WBRI","postcode":"AA1 1AA"},"social_care_episodes":[{"social_care_episode_id":"SAMPLE1E1","referral_date":"2026-01-05","referral_source":"1A"}]}',
     N'pending', NULL, N'new'),
    (N'SAMPLE2', N'{"la_child_id":"SAMPLE2","child_details":{"first_name":"Ben","surname":"Sample","date_of_birth":"2012-09-30","sex":"M","ethnicity":"BAFR","postcode":"AA2 2AA"}}',
     N'{"la_child_id":"SAMPLE2","child_details":{"first_name":"Ben","surname":"Sample","date_of_birth":"2012-09-30","sex":"M","ethnicity":"BAFR","postcode":"AA2 2AA"},"social_care_episodes":[{"social_care_episode_id":"SAMPLE2E1","referral_date":"2026-02-16","referral_source":"3A","child_in_need_plans":[{"child_in_need_plan_id":"SAMPLE2P1","start_date":"2026-03-02"}]}]}',
     N'pending', NULL, N'updated'),
    (N'SAMPLE3', NULL,
     N'{"la_child_id":"SAMPLE3","child_details":{"first_name":"Cai","surname":"Sample","date_of_birth":"2018-12-01","sex":"U","ethnicity":"MOTH","disabilities":["NONE"]},"health_and_wellbeing":{"sdq_assessments":[{"date":"2026-05-20","score":11}]}}',
     N'error', N'Sample of a refused record', N'new'),
    (N'SAMPLE4', N'{"la_child_id":"SAMPLE4","child_details":{"first_name":"Dee","surname":"Sample","date_of_birth":"2009-07-23","sex":"F","ethnicity":"AIND"}}',
     N'{"la_child_id":"SAMPLE4","child_details":{"first_name":"Dee","surname":"Sample","date_of_birth":"2009-07-23","sex":"F","ethnicity":"AIND"}}',
     N'sent', N'00000000-0000-4000-8000-000000000004', N'deleted');
GO

-- The least that the service account needs, for you to adapt and run. It reads the staging table and its anonymised
-- copy, writes seven columns of them, and adds or deletes no row there; it keeps its own tables. It needs no right to
-- make tables.
-- GRANT SELECT ON {staging} TO [DOMAIN\csc_api_service];
-- GRANT UPDATE (partial_json_payload, submission_status, submission_timestamp, api_response, row_state,
--     previous_json_payload, previous_hash) ON {staging} TO [DOMAIN\csc_api_service];
-- GRANT SELECT ON {anon} TO [DOMAIN\csc_api_service];
-- GRANT UPDATE (partial_json_payload, submission_status, submission_timestamp, api_response, row_state,
--     previous_json_payload, previous_hash) ON {anon} TO [DOMAIN\csc_api_service];
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {held} TO [DOMAIN\csc_api_service];
-- GRANT SELECT, INSERT ON {log} TO [DOMAIN\csc_api_service];
-- Only with LOG_KEEP_DAYS, which lets a run delete old lines of the log: DELETE ON {log} besides.
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {unconfirmed} TO [DOMAIN\csc_api_service];
-- GRANT SELECT ON {left_window} TO [DOMAIN\csc_api_service];
-- GRANT SELECT, INSERT, UPDATE ON {runs} TO [DOMAIN\csc_api_service];

-- Only where `stage` fills the staging table from the SSD: what it needs, for an account of its own or for the same.
-- It adds rows, changes payloads and states, and deletes nothing but its own records. Of the SSD it reads alone: let
-- it SELECT from each of the SSD's tables as well.
-- GRANT SELECT, INSERT ON {staging} TO [DOMAIN\csc_api_stage];
-- GRANT UPDATE (json_payload, partial_json_payload, legacy_id, current_hash, row_state, submission_status,
--     api_response, last_updated) ON {staging} TO [DOMAIN\csc_api_stage];
-- GRANT SELECT ON {held} TO [DOMAIN\csc_api_stage];
-- GRANT SELECT ON {log} TO [DOMAIN\csc_api_stage];
-- GRANT SELECT ON {unconfirmed} TO [DOMAIN\csc_api_stage];
-- GRANT SELECT, INSERT, DELETE ON {left_window} TO [DOMAIN\csc_api_stage];
-- GRANT SELECT, INSERT, DELETE ON {built} TO [DOMAIN\csc_api_stage];
