-- The columns of the collector's state tables, once for every database; `xporter/schema.py` puts in the types of each.
-- A type begins with a question mark; the types are the names in `_TYPES` there.

-- table: xporter_school
-- A school, and what is known of its consent.
    estab ?estab NOT NULL,
    school_name ?text NULL,
    state ?word NOT NULL,  -- authorised, pending, paused, refused, revoked, removed
    scopes ?text NULL,  -- what the consent covers, with commas between; null: not known
    authorised_at ?time NULL,
    revoked_at ?time NULL,
    purged_at ?time NULL,  -- the proof that its rows were removed: when, and how many
    purged_rows ?count NULL,
    secret_version ?sha NULL,  -- a fingerprint, to see that a secret is a new one
    state_since ?time NULL,
    checked_at ?time NULL,
    problem ?text NULL,
    PRIMARY KEY (estab)

-- table: xporter_sync
-- An endpoint and window of time of a school, and its last complete round.
    estab ?estab NOT NULL,
    endpoint ?name NOT NULL,
    time_window ?window NOT NULL,  -- the Monday of a week, or a school year; empty for none
    params_hash ?sha NULL,  -- changes with whatever makes the answer another set of data
    row_count ?count NULL,  -- null: there was no complete round
    round_started ?time NULL,
    round_ended ?time NULL,
    data_as_of ?text NULL,  -- when the data were read from the school, as far as the API says
    meta ?text NULL,  -- the answer's meta, as it came
    next_hash ?name NULL,  -- the API's name for the snapshot that was landed, and what it depends on
    change_key ?sha NULL,
    last_full ?time NULL,  -- when a whole set was landed last
    problem ?text NULL,  -- what went wrong since the last complete round, when, and how often
    problem_at ?time NULL,
    attempts ?count NULL,
    PRIMARY KEY (estab, endpoint, time_window)

-- table: xporter_run
-- One entry for each collection.
    run_id ?run NOT NULL,
    started_at ?time NOT NULL,
    finished_at ?time NULL,
    schools ?count NULL,
    rounds ?count NULL,
    added ?count NULL,
    changed ?count NULL,
    deleted ?count NULL,
    unchanged ?count NULL,
    requests ?count NULL,
    received_bytes ?count NULL,
    exit_code ?count NULL,  -- null: it has no end
    message ?text NULL,
    PRIMARY KEY (run_id)

-- table: xporter_run_log
-- What became of a school's endpoint and window in a collection; counts, no values.
    run_id ?run NOT NULL,
    estab ?estab NOT NULL,
    endpoint ?name NOT NULL,
    time_window ?window NOT NULL,
    logged_at ?time NOT NULL,
    outcome ?word NOT NULL,
    added ?count NULL,
    changed ?count NULL,
    deleted ?count NULL,
    unchanged ?count NULL,
    dropped ?count NULL,  -- rows that are not about the council's children
    received_bytes ?count NULL,
    milliseconds ?count NULL,
    message ?text NULL,
    PRIMARY KEY (run_id, estab, endpoint, time_window)

-- table: xporter_column
-- A member of an answer that the catalogue does not know.
    table_name ?name NOT NULL,
    column_name ?name NOT NULL,
    first_seen ?time NOT NULL,
    last_seen ?time NOT NULL,
    estab ?estab NOT NULL,
    PRIMARY KEY (table_name, column_name)

-- table: xporter_match
-- A proposal for a worker; never written to the SSD or a payload.
    person_id ?name NOT NULL,
    kind ?word NOT NULL,
    estab ?estab NOT NULL,
    student_id ?key NOT NULL,
    upn ?text NULL,
    former_upn ?text NULL,
    is_valid_upn ?count NULL,
    found_at ?time NOT NULL,
    PRIMARY KEY (person_id, kind, estab, student_id)

-- table: xporter_outbox
-- A row that is to be written into a school's system.
    id ?number NOT NULL,
    estab ?estab NOT NULL,
    kind ?word NOT NULL,  -- attendance, lesson, conduct, detention
    body ?text NOT NULL,  -- JSON
    status ?pending NOT NULL,  -- pending, unknown, submitted, confirmed, refused, error
    answer ?text NULL,
    group_key ?window NULL,  -- the day that it is about
    tracking_id ?name NULL,
    actual_ids ?text NULL,  -- the records that it is in the school's data, as JSON
    seen_before ?text NULL,  -- the records that looked alike before it was sent, as JSON
    attempts ?count NULL,
    created_at ?made NOT NULL,
    sent_at ?time NULL,
    confirmed_at ?time NULL,
    updated_at ?time NULL,
    PRIMARY KEY (id)
