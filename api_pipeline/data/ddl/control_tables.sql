-- The columns of the control tables, once for every database: the script of each database puts them in where it says
-- (TABLE_columns), with its own types. A type begins with a question mark:
--   serial: a number that the database gives, and the primary key; number, large: whole numbers of 32 and of 64 bits
--   text(N), text: up to N characters, and without limit; key(N): a text whose letter case counts, part of a key
--   code(N): up to N characters of ASCII; hash: SHA-256, hexadecimal; time: a time without zone, to the millisecond

-- table: held
    receiver ?key(255) NOT NULL,  -- the receiver's address
    la_child_id ?key(48) NOT NULL,
    held_payload ?text NULL,  -- what it holds of the child, as far as its acceptances tell
    held_hash ?hash NOT NULL,  -- SHA-256 of that text, hexadecimal
    receipt ?text(100) NULL,  -- the last receipt of the child
    accepted_at ?time NULL,  -- its time; null where another tool sent the child
    PRIMARY KEY (la_child_id, receiver)

-- table: log
    id ?serial,
    run_id ?code(36) NOT NULL,  -- the run, as in {runs}
    batch ?number NOT NULL,  -- the batch within the run, from 1; what follows purges, from -1 down
    staging_table ?text(255) NOT NULL,
    staging_id ?large NOT NULL,  -- the row's id there
    person_id ?text(48) NULL,
    la_child_id ?text(48) NULL,
    kind ?code(10) NOT NULL,  -- full, delta, purge, deletion
    sent_hash ?hash NOT NULL,  -- SHA-256 of the record as it was sent, hexadecimal
    http_code ?number NULL,  -- null where no answer came
    outcome ?code(20) NOT NULL,  -- accepted, refused, undelivered, unknown (an answer without receipts)
    answer ?text NULL,  -- the receipt, or the reason with the values in it masked
    logged_at ?time NOT NULL

-- table: unconfirmed
    receiver ?key(255) NOT NULL,
    la_child_id ?key(48) NOT NULL,
    payload_hash ?code(64) NOT NULL,  -- SHA-256 of the staged payload, of another text with PURGE_VANISHED=false; empty where it can match none
    may_hold ?text NULL,  -- what the receiver holds if the record did arrive, where that is known
    run_id ?code(36) NOT NULL,
    begun_at ?time NOT NULL,
    PRIMARY KEY (la_child_id, receiver)

-- table: left_window
    person_id ?key(48) NOT NULL PRIMARY KEY,  -- the person in the SSD, as in the staging table
    elements ?text NOT NULL  -- a JSON list of paths of names and ids

-- table: built
    person_id ?key(48) NOT NULL PRIMARY KEY,  -- the person in the SSD, as in the staging table
    source_hash ?code(64) NOT NULL,  -- SHA-256 of rows, settings, rules and the staged payload's hash, hexadecimal
    first_day ?code(10) NOT NULL,  -- the days on which that gives the same payload, YYYY-MM-DD, both included
    last_day ?code(10) NOT NULL,
    issues ?text NULL  -- what was decided about values: a JSON list of rule, field and place, without the values

-- table: runs
    run_id ?code(36) NOT NULL PRIMARY KEY,
    staging_table ?text(255) NOT NULL,
    receiver ?text(255) NOT NULL,
    mode ?code(10) NOT NULL,  -- live, testing
    payloads ?code(10) NOT NULL,  -- full, deltas
    shard ?code(20) NULL,  -- I/N where the table was shared between runs
    started_at ?time NOT NULL,
    finished_at ?time NULL,  -- null while the run is at work, or where it was killed
    due ?number NULL,
    accepted ?number NULL,
    refused ?number NULL,
    undelivered ?number NULL,
    deleted ?number NULL,
    unchanged ?number NULL,
    not_tried ?number NULL,
    exit_code ?number NULL,
    message ?text NULL  -- the sentence the run ended with
