-- Tables of the Single Data Return for SQL Server 2012 and later.
--
-- Safe to run again: it makes what is missing, and never drops, empties or changes a table or a row that is there.
-- The schema must exist. Keys compare letter by letter (BIN2), because ids may differ in case alone. An index that is
-- there although the catalogue does not show its name (errors 1913, 2714), or that a staging table of your own cannot
-- have because its key is too long (1919, 1944), is left out: it only makes things faster.

-- sqlcmd and jobs of SQL Server Agent have this off. A table of your own with a filtered index, an indexed view or an
-- indexed computed column takes no further index then (error 1934).
SET QUOTED_IDENTIFIER ON;
GO

-- The staging table: one row for each record of the return, filled by the provider from its student management system.
-- A row that is gone is deleted at TEC by the next submission. A table that is there already is left as it is.
IF OBJECT_ID(N'{staging}') IS NULL
CREATE TABLE {staging} (
    id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,  -- given by the database; rows are read in its order
    collection NVARCHAR(30) COLLATE Latin1_General_BIN2 NOT NULL,  -- courses, learners, course-enrolments, course-completions, qualification-completions
    local_id NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,  -- the record's own key, the same every night; never a row number
    json_payload NVARCHAR(MAX) NOT NULL,  -- the record: a JSON object, without localId or with the same one
    submission_status NVARCHAR(50) NULL,  -- for people: sent, error, testing; what is due is decided by {held}
    submission_timestamp DATETIME2(3) NULL,  -- when TEC answered, UTC
    api_response NVARCHAR(MAX) NULL,  -- code and reason, or the codes of the last validation
    return_id BIGINT NULL,  -- the return period that wrote last; a column that it does not write keeps an earlier one's
    validation_errors INT NULL,  -- errors of the last validation that name this record
    validation_warnings INT NULL,  -- warnings of the last validation that name this record
    CONSTRAINT {staging_key} UNIQUE (collection, local_id)
);
GO

-- The baseline: which records TEC holds for a period, each as a hash; no payload and no personal data beside local_id.
-- A null hash is in doubt: a request with the record began, and its answer is not known. Such a record is sent again.
IF OBJECT_ID(N'{held}') IS NULL
CREATE TABLE {held} (
    receiver NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,  -- the receiver's address and the EDUMIS number
    return_id BIGINT NOT NULL,
    collection NVARCHAR(30) COLLATE Latin1_General_BIN2 NOT NULL,
    local_id NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    payload_hash BINARY(32) NULL,  -- SHA-256 of the canonical record as TEC took it; null: in doubt
    updated_at DATETIME2(3) NOT NULL,
    PRIMARY KEY (local_id, collection, return_id, receiver)
);
GO

-- One row for a period at a receiver: the submission token, and how the submission stands. Times are UTC.
IF OBJECT_ID(N'{submission}') IS NULL
CREATE TABLE {submission} (
    receiver NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    return_id BIGINT NOT NULL,
    return_year INT NULL,
    return_month INT NULL,
    submission_token NVARCHAR(300) NULL,  -- null before the first token and after a reset
    token_expiry DATETIME2(3) NULL,
    token_received_at DATETIME2(3) NULL,
    batch_limit INT NULL,  -- the most records in one request, as TEC gave it last
    state NVARCHAR(20) NOT NULL,  -- none, open, validating, passed, failed, broken, submitted, cancelled, closed, unknown
    tec_status NVARCHAR(50) NULL,  -- TEC's own word
    declined_code NVARCHAR(50) NULL,  -- the code or HTTP status by which TEC declined the last token request
    declined_reason NVARCHAR(MAX) NULL,
    validation_received_at NVARCHAR(50) NULL,  -- dateReceived of the last validation, as TEC writes it
    validation_errors INT NULL,
    validation_warnings INT NULL,
    updated_at DATETIME2(3) NOT NULL,
    PRIMARY KEY (receiver, return_id)
);
GO

-- The results of validations, one row each, in TEC's order. `record_text` is the record's own text: personal data, never logged.
IF OBJECT_ID(N'{validation}') IS NULL
CREATE TABLE {validation} (
    receiver NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    return_id BIGINT NOT NULL,
    run NVARCHAR(50) NOT NULL,  -- dateReceived of the validation, as TEC writes it
    number INT NOT NULL,  -- the place in the list, from 1; 0: the validation passed and found nothing
    collection NVARCHAR(30) COLLATE Latin1_General_BIN2 NULL,  -- null where TEC names none that is known
    local_id NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,  -- null where the result could not be tied to a record
    error_code NVARCHAR(50) NULL,
    error_type NVARCHAR(20) NULL,  -- Error, Warning
    description NVARCHAR(MAX) NULL,
    student_id NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,
    course_code NVARCHAR(100) COLLATE Latin1_General_BIN2 NULL,
    record_text NVARCHAR(MAX) NULL,
    PRIMARY KEY (receiver, return_id, run, number)
);
GO

-- The audit trail: one row for each outcome of a record that was sent. A refused batch that is sent again in parts has
-- no rows as a whole. No payload is kept here.
IF OBJECT_ID(N'{log}') IS NULL
CREATE TABLE {log} (
    id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY,
    run_id NVARCHAR(36) NOT NULL,  -- the run, as in {runs}
    batch INT NOT NULL,  -- the request within the run, from 1
    return_id BIGINT NOT NULL,
    collection NVARCHAR(30) COLLATE Latin1_General_BIN2 NOT NULL,
    local_id NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    kind NVARCHAR(20) NOT NULL,  -- put, delete
    sent_hash CHAR(64) NULL,  -- SHA-256 of the canonical record, hexadecimal; null for a delete
    outcome NVARCHAR(20) NOT NULL,  -- accepted, refused, undelivered
    answer NVARCHAR(MAX) NULL,  -- the reason with the values in it masked
    logged_at DATETIME2(3) NOT NULL
);
GO

-- The journal: one row for each run, opened at its start and closed at its end. Times are UTC.
IF OBJECT_ID(N'{runs}') IS NULL
CREATE TABLE {runs} (
    run_id NVARCHAR(36) NOT NULL PRIMARY KEY,
    receiver NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL,
    return_id BIGINT NOT NULL,
    mode NVARCHAR(20) NOT NULL,  -- live, testing
    command NVARCHAR(20) NOT NULL,  -- submit, validate, reset
    started_at DATETIME2(3) NOT NULL,
    finished_at DATETIME2(3) NULL,  -- null while the run is at work, or where it was killed
    accepted INT NULL,
    deleted INT NULL,
    refused INT NULL,
    undelivered INT NULL,
    unchanged INT NULL,
    requests INT NULL,
    exit_code INT NULL,
    message NVARCHAR(MAX) NULL  -- the sentence the run ended with
);
GO

-- Reads one collection in the order of its rows, page by page; without it an idle run takes four times as long.
CREATE INDEX {staging_page_index} ON {staging} (collection, id);
GO

-- Finds what one run sent.
CREATE INDEX {log_run_index} ON {log} (run_id);
GO

-- Finds what was ever sent of one record.
CREATE INDEX {log_record_index} ON {log} (collection, local_id);
GO

-- Grants for the account of the nightly job; put its name in the place of sdr_service:
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {staging} TO sdr_service;  -- INSERT and DELETE are for sdr load alone
-- GRANT SELECT, INSERT, UPDATE, DELETE ON {held} TO sdr_service;
-- GRANT SELECT, INSERT, UPDATE ON {submission} TO sdr_service;
-- GRANT SELECT, INSERT, DELETE ON {validation} TO sdr_service;
-- GRANT SELECT, INSERT ON {log} TO sdr_service;
-- GRANT SELECT, INSERT, UPDATE ON {runs} TO sdr_service;
