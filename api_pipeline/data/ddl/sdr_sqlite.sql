-- Tables of the Single Data Return for SQLite. Times are kept as text, YYYY-MM-DD HH:MM:SS.FFF.
--
-- Safe to run again: it makes what is missing, and never drops, empties or changes a table or a row that is there.
-- There are no grants: who may read the file may read everything, so protect the file and its folder.

-- The staging table: one row for each record of the return, filled by the provider from its student management system.
-- A row that is gone is deleted at TEC by the next submission. A table that is there already is left as it is.
CREATE TABLE IF NOT EXISTS {staging} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- given by the database; rows are read in its order
    collection TEXT NOT NULL,  -- courses, learners, course-enrolments, course-completions, qualification-completions
    local_id TEXT NOT NULL,  -- the record's own key, the same every night; never a row number
    json_payload TEXT NOT NULL,  -- the record: a JSON object, without localId or with the same one
    submission_status TEXT NULL,  -- for people: sent, error, testing; what is due is decided by {held}
    submission_timestamp TEXT NULL,  -- when TEC answered, UTC
    api_response TEXT NULL,  -- code and reason, or the codes of the last validation
    return_id INTEGER NULL,  -- the return period that wrote last; a column that it does not write keeps an earlier one's
    validation_errors INTEGER NULL,  -- errors of the last validation that name this record
    validation_warnings INTEGER NULL,  -- warnings of the last validation that name this record
    CONSTRAINT {staging_key} UNIQUE (collection, local_id)
);

-- The baseline: which records TEC holds for a period, each as a hash; no payload and no personal data beside local_id.
-- A null hash is in doubt: a request with the record began, and its answer is not known. Such a record is sent again.
CREATE TABLE IF NOT EXISTS {held} (
    receiver TEXT NOT NULL,  -- the receiver's address and the EDUMIS number
    return_id INTEGER NOT NULL,
    collection TEXT NOT NULL,
    local_id TEXT NOT NULL,
    payload_hash BLOB NULL,  -- SHA-256 of the canonical record as TEC took it; null: in doubt
    updated_at TEXT NOT NULL,
    PRIMARY KEY (local_id, collection, return_id, receiver)
);

-- One row for a period at a receiver: the submission token, and how the submission stands. Times are UTC.
CREATE TABLE IF NOT EXISTS {submission} (
    receiver TEXT NOT NULL,
    return_id INTEGER NOT NULL,
    return_year INTEGER NULL,
    return_month INTEGER NULL,
    submission_token TEXT NULL,  -- null before the first token and after a reset
    token_expiry TEXT NULL,
    token_received_at TEXT NULL,
    batch_limit INTEGER NULL,  -- the most records in one request, as TEC gave it last
    state TEXT NOT NULL,  -- none, open, validating, passed, failed, broken, submitted, cancelled, closed, unknown
    tec_status TEXT NULL,  -- TEC's own word
    declined_code TEXT NULL,  -- the code or HTTP status by which TEC declined the last token request
    declined_reason TEXT NULL,
    validation_received_at TEXT NULL,  -- dateReceived of the last validation, as TEC writes it
    validation_errors INTEGER NULL,
    validation_warnings INTEGER NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (receiver, return_id)
);

-- The results of validations, one row each, in TEC's order. `record_text` is the record's own text: personal data, never logged.
CREATE TABLE IF NOT EXISTS {validation} (
    receiver TEXT NOT NULL,
    return_id INTEGER NOT NULL,
    run TEXT NOT NULL,  -- dateReceived of the validation, as TEC writes it
    number INTEGER NOT NULL,  -- the place in the list, from 1; 0: the validation passed and found nothing
    collection TEXT NULL,  -- null where TEC names none that is known
    local_id TEXT NULL,  -- null where the result could not be tied to a record
    error_code TEXT NULL,
    error_type TEXT NULL,  -- Error, Warning
    description TEXT NULL,
    student_id TEXT NULL,
    course_code TEXT NULL,
    record_text TEXT NULL,
    PRIMARY KEY (receiver, return_id, run, number)
);

-- The audit trail: one row for each outcome of a record that was sent. A refused batch that is sent again in parts has
-- no rows as a whole. No payload is kept here.
CREATE TABLE IF NOT EXISTS {log} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,  -- the run, as in {runs}
    batch INTEGER NOT NULL,  -- the request within the run, from 1
    return_id INTEGER NOT NULL,
    collection TEXT NOT NULL,
    local_id TEXT NOT NULL,
    kind TEXT NOT NULL,  -- put, delete
    sent_hash TEXT NULL,  -- SHA-256 of the canonical record, hexadecimal; null for a delete
    outcome TEXT NOT NULL,  -- accepted, refused, undelivered
    answer TEXT NULL,  -- the reason with the values in it masked
    logged_at TEXT NOT NULL
);

-- The journal: one row for each run, opened at its start and closed at its end. Times are UTC.
CREATE TABLE IF NOT EXISTS {runs} (
    run_id TEXT NOT NULL PRIMARY KEY,
    receiver TEXT NOT NULL,
    return_id INTEGER NOT NULL,
    mode TEXT NOT NULL,  -- live, testing
    command TEXT NOT NULL,  -- submit, validate, reset
    started_at TEXT NOT NULL,
    finished_at TEXT NULL,  -- null while the run is at work, or where it was killed
    accepted INTEGER NULL,
    deleted INTEGER NULL,
    refused INTEGER NULL,
    undelivered INTEGER NULL,
    unchanged INTEGER NULL,
    requests INTEGER NULL,
    exit_code INTEGER NULL,
    message TEXT NULL  -- the sentence the run ended with
);

-- Reads one collection in the order of its rows, page by page; without it an idle run takes four times as long.
CREATE INDEX IF NOT EXISTS {staging_page_index} ON {staging_unqualified} (collection, id);

-- Finds what one run sent.
CREATE INDEX IF NOT EXISTS {log_run_index} ON {log_unqualified} (run_id);

-- Finds what was ever sent of one record.
CREATE INDEX IF NOT EXISTS {log_record_index} ON {log_unqualified} (collection, local_id);
