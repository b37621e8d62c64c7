-- Every statement that `stage` sends to a council's database, besides those of queries.sql that it shares with `run`.
--
-- First what is read from the Standard Safeguarding Dataset (SSD), then what is read from and written to the staging
-- table. {ssd} is the schema of the SSD tables with a dot behind it, or empty. The parameters of a reading statement
-- are, as often as they occur, the ids of the first and the last person of a chunk of people. {cin_plan_id} is
-- cinp_cin_plan_id, or cin_plan_id where the column is called so. {filter} is empty, or the condition only_listed.
-- {table} is the staging table, {left_window} and {built} are control tables, {values} is a list of rows of parameters,
-- {rows} a table of such rows, {page} the end of a page (see queries.sql), {payload} is changed.payload; PostgreSQL, where
-- the column is JSONB: CAST(changed.payload AS jsonb).
--
-- Only plain columns are read: the rules are not in here. Ids are compared as text, because Mosaic holds one and the
-- same id as a number in ssd_cin_episodes and ssd_s47_enquiry and as text elsewhere. Only the numbers are cast, so that
-- an index on the other column can be used; indexes on person and referral ids make stage faster and are not needed.
-- {alike} is empty but on SQL Server where the SSD's ids have more than one collation: it compares them by one.
-- {as_text} is empty but on PostgreSQL, which compares no number or uuid with a text: there it makes texts of them, which
-- are compared by one collation where the ids of people have more than one.

-- name: count_rows
-- Counts the rows of an SSD table: one that is being refilled must not be taken for the truth.
SELECT COUNT(*) FROM {ssd}{ssd_table};

-- name: see_columns
-- Fails where an SSD table, or one of the named columns, is not there; reads no row. Also of the staging table: whether
-- current_hash is a text, where no row has a hash yet.
SELECT {columns} FROM {ssd}{ssd_table} WHERE 1 = 0;

-- name: see_types_sqlserver
-- Reads type and collation of the SSD's columns: dates with a zone are cast when they are read, which no ODBC driver for
-- Python can do itself, and ids of several collations are compared as the database's own. {catalogue} is the SSD's
-- database with a dot behind it, or empty; {names} are as many parameters as there are tables.
SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLLATION_NAME
FROM {catalogue}INFORMATION_SCHEMA.COLUMNS
WHERE TABLE_NAME IN ({names});

-- name: first_id
-- Reads one id of people from a table: whether it holds them as numbers or as texts.
SELECT MIN({column}) FROM {ssd}{ssd_table};

-- name: see_order
-- Sorts a few texts as a column of people's ids sorts them, whatever is in it: ids of another collation come in another
-- order. SQL Server's catalogue says it there (see_types_sqlserver).
SELECT sample
FROM (
    SELECT {column} AS sample FROM {ssd}{ssd_table} WHERE 1 = 0
    UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ?
    UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ?
) AS samples
ORDER BY sample;

-- name: people_of_chunk
-- Reads the ids of a chunk of people, inside the other statements, in place of a range of ids in each table: where not
-- all tables sort the ids in one way, because some hold them as numbers and others as texts, or collations differ.
SELECT CAST(pers_person_id AS VARCHAR(100)){alike} FROM {ssd}ssd_person
WHERE pers_person_id >= ? AND pers_person_id <= ?;

-- name: person_ids
-- Reads the ids of all people, in the database's own order, in which they are then taken chunk by chunk.
SELECT pers_person_id FROM {ssd}ssd_person
WHERE pers_person_id IS NOT NULL {filter}
ORDER BY pers_person_id;

-- name: is_person
-- Finds whether one of COHORT_PERSON_IDS is a person of the SSD, and how the SSD spells the id.
SELECT pers_person_id FROM {ssd}ssd_person
WHERE pers_person_id = ? {filter};

-- name: only_listed
-- Condition: the person is in the council's own table of people to be taken (COHORT_FILTER_TABLE).
AND CAST(pers_person_id AS VARCHAR(100)){usual} IN (SELECT CAST({listed} AS VARCHAR(100)) FROM {filter_table});

-- name: first_listed
-- Reads one id from the council's own table of people: a table that was imported from Excel holds them as FLOAT, which
-- SQL Server writes as 1.23457e+008. Such an id is made a whole number before it is compared as text.
SELECT MIN(person_id) FROM {filter_table};

-- name: ssd_person
-- Reads the people of a chunk.
SELECT pers_person_id, pers_legacy_id, pers_upn, pers_upn_unknown, pers_forename, pers_surname, pers_sex,
       pers_ethnicity, pers_dob, pers_expected_dob
FROM {ssd}ssd_person
WHERE pers_person_id >= ? AND pers_person_id <= ?;

-- name: ssd_disability
-- Reads their disability codes.
SELECT disa_table_id, disa_person_id, disa_disability_code
FROM {ssd}ssd_disability
WHERE disa_person_id >= ? AND disa_person_id <= ?;

-- name: ssd_address
-- Reads their addresses: the postcode only.
SELECT addr_table_id, addr_person_id, addr_address_postcode, addr_address_start_date
FROM {ssd}ssd_address
WHERE addr_person_id >= ? AND addr_person_id <= ?;

-- name: ssd_linked_identifiers
-- Reads their other identifiers, among them former unique pupil numbers.
SELECT link_table_id, link_person_id, link_identifier_type, link_identifier_value, link_valid_from_date
FROM {ssd}ssd_linked_identifiers
WHERE link_person_id >= ? AND link_person_id <= ?;

-- name: ssd_immigration_status
-- Reads their immigration statuses.
SELECT immi_immigration_status_id, immi_person_id, immi_immigration_status, immi_immigration_status_start_date,
       immi_immigration_status_end_date
FROM {ssd}ssd_immigration_status
WHERE immi_person_id >= ? AND immi_person_id <= ?;

-- name: ssd_sdq_scores
-- Reads their strengths and difficulties scores.
SELECT csdq_table_id, csdq_person_id, csdq_sdq_completed_date, csdq_sdq_score
FROM {ssd}ssd_sdq_scores
WHERE csdq_person_id >= ? AND csdq_person_id <= ?;

-- name: ssd_cin_episodes
-- Reads their referrals.
SELECT cine_referral_id, cine_person_id, cine_referral_date, cine_referral_source_code, cine_referral_nfa,
       cine_close_reason, cine_close_date
FROM {ssd}ssd_cin_episodes
WHERE cine_person_id >= ? AND cine_person_id <= ?;

-- name: ssd_cin_assessments
-- Reads the assessments of these referrals.
SELECT cina_assessment_id, cina_person_id, cina_referral_id, cina_assessment_start_date, cina_assessment_auth_date
FROM {ssd}ssd_cin_assessments
WHERE cina_referral_id{as_text} IN (
    SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
    WHERE cine_person_id >= ? AND cine_person_id <= ?
);

-- name: ssd_assessment_factors
-- Reads the factors that these assessments identified.
SELECT cinf_table_id, cinf_assessment_id, cinf_assessment_factors_json
FROM {ssd}ssd_assessment_factors
WHERE cinf_assessment_id{as_text} IN (
    SELECT CAST(cina_assessment_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_assessments
    WHERE cina_referral_id{as_text} IN (
        SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
        WHERE cine_person_id >= ? AND cine_person_id <= ?
    )
);

-- name: ssd_cin_plans
-- Reads the child in need plans of these people or of these referrals.
SELECT {cin_plan_id}, cinp_referral_id, cinp_person_id, cinp_cin_plan_start_date, cinp_cin_plan_end_date
FROM {ssd}ssd_cin_plans
WHERE (cinp_person_id >= ? AND cinp_person_id <= ?)
   OR cinp_referral_id{as_text} IN (
       SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
       WHERE cine_person_id >= ? AND cine_person_id <= ?
   );

-- name: ssd_s47_enquiry
-- Reads the section 47 enquiries of these referrals.
SELECT s47e_s47_enquiry_id, s47e_referral_id, s47e_person_id, s47e_s47_start_date, s47e_s47_end_date,
       s47e_s47_outcome_json
FROM {ssd}ssd_s47_enquiry
WHERE CAST(s47e_referral_id AS VARCHAR(100)){as_text} IN (
    SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
    WHERE cine_person_id >= ? AND cine_person_id <= ?
);

-- name: ssd_initial_cp_conference
-- Reads the initial child protection conferences of these enquiries.
SELECT icpc_icpc_id, icpc_s47_enquiry_id, icpc_icpc_date
FROM {ssd}ssd_initial_cp_conference
WHERE icpc_s47_enquiry_id{as_text} IN (
    SELECT CAST(s47e_s47_enquiry_id AS VARCHAR(100)){alike} FROM {ssd}ssd_s47_enquiry
    WHERE CAST(s47e_referral_id AS VARCHAR(100)){as_text} IN (
        SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
        WHERE cine_person_id >= ? AND cine_person_id <= ?
    )
);

-- name: ssd_cp_plans
-- Reads the child protection plans of these people or of these referrals.
SELECT cppl_cp_plan_id, cppl_referral_id, cppl_person_id, cppl_cp_plan_start_date, cppl_cp_plan_end_date
FROM {ssd}ssd_cp_plans
WHERE (cppl_person_id >= ? AND cppl_person_id <= ?)
   OR cppl_referral_id{as_text} IN (
       SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
       WHERE cine_person_id >= ? AND cine_person_id <= ?
   );

-- name: ssd_cla_episodes
-- Reads the looked-after episodes of these people or of these referrals.
SELECT clae_cla_episode_id, clae_person_id, clae_cla_placement_id, clae_cla_id, clae_referral_id,
       clae_cla_episode_start_date, clae_cla_episode_start_reason, clae_cla_episode_ceased_date,
       clae_cla_episode_ceased_reason
FROM {ssd}ssd_cla_episodes
WHERE (clae_person_id >= ? AND clae_person_id <= ?)
   OR clae_referral_id{as_text} IN (
       SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
       WHERE cine_person_id >= ? AND cine_person_id <= ?
   );

-- name: ssd_cin_episodes_of_others
-- Reads the referrals, of anyone, that the looked-after episodes of these people belong to.
SELECT cine_referral_id, cine_person_id, cine_referral_date, cine_referral_source_code, cine_referral_nfa,
       cine_close_reason, cine_close_date
FROM {ssd}ssd_cin_episodes
WHERE CAST(cine_referral_id AS VARCHAR(100)){as_text} IN (
    SELECT CAST(clae_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cla_episodes
    WHERE clae_person_id >= ? AND clae_person_id <= ?
);

-- name: ssd_cla_placement
-- Reads the placements in the periods of care to which these episodes belong.
SELECT clap_cla_placement_id, clap_cla_id, clap_cla_placement_start_date, clap_cla_placement_end_date,
       clap_cla_placement_type, clap_cla_placement_postcode, clap_cla_placement_change_reason
FROM {ssd}ssd_cla_placement
WHERE clap_cla_id{as_text} IN (
    SELECT CAST(clae_cla_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cla_episodes
    WHERE (clae_person_id >= ? AND clae_person_id <= ?)
       OR clae_referral_id{as_text} IN (
           SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
           WHERE cine_person_id >= ? AND cine_person_id <= ?
       )
);

-- name: ssd_permanence
-- Reads the adoption dates of these people or of these periods of care.
SELECT perm_table_id, perm_person_id, perm_cla_id, perm_adm_decision_date, perm_matched_date,
       perm_placed_for_adoption_date
FROM {ssd}ssd_permanence
WHERE (perm_person_id >= ? AND perm_person_id <= ?)
   OR perm_cla_id{as_text} IN (
    SELECT CAST(clae_cla_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cla_episodes
    WHERE (clae_person_id >= ? AND clae_person_id <= ?)
       OR clae_referral_id{as_text} IN (
           SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
           WHERE cine_person_id >= ? AND cine_person_id <= ?
       )
);

-- name: ssd_care_leavers
-- Reads the care-leaver records of these people.
SELECT clea_table_id, clea_person_id, clea_care_leaver_latest_contact, clea_care_leaver_activity,
       clea_care_leaver_accommodation
FROM {ssd}ssd_care_leavers
WHERE clea_person_id >= ? AND clea_person_id <= ?;

-- name: ssd_involvements
-- Reads which professionals were involved in these referrals.
SELECT invo_involvements_id, invo_professional_id, invo_professional_role_id, invo_referral_id,
       invo_involvement_start_date, invo_involvement_end_date
FROM {ssd}ssd_involvements
WHERE invo_referral_id{as_text} IN (
    SELECT CAST(cine_referral_id AS VARCHAR(100)){alike} FROM {ssd}ssd_cin_episodes
    WHERE cine_person_id >= ? AND cine_person_id <= ?
);

-- name: ssd_professionals
-- Reads the registration numbers of all professionals, once: they are few, and shared by all children.
SELECT prof_professional_id, prof_staff_id, prof_social_worker_registration_no
FROM {ssd}ssd_professionals;

-- name: read_heads
-- Reads for the next page of rows whose they are, whether they are deleted, and which version their payload is.
SELECT id, person_id, row_state, current_hash
FROM {table}
WHERE person_id IS NOT NULL {after}
ORDER BY id {page};

-- name: insert_new
-- Adds rows for children that have none.
INSERT INTO {table} ({columns})
VALUES {values};

-- name: read_people
-- Reads whose some rows are, and keeps them still until the transaction ends: a payload never gets into a row that has
-- become another person's.
SELECT id, person_id
FROM {table} {lock_rows}
WHERE id {ids} {locked};

-- name: update_changed
-- Gives rows their new payloads. They are pending; or sent, where a child is back as the receiver still holds it, before
-- its deletion was accepted. What was sent before (previous_json_payload) stays. The ids stand there twice so that every
-- database finds the rows by their key.
UPDATE {table}
SET json_payload = {payload}, current_hash = changed.hash, row_state = changed.state,
    submission_status = changed.status, partial_json_payload = NULL, api_response = changed.answer{more}
FROM (SELECT column1 AS row_id, column2 AS payload, column3 AS hash, column4 AS state, column5 AS status,
             column6 AS answer, column7 AS legacy_id
      FROM {rows}) AS changed
WHERE id = changed.row_id AND id {ids};

-- name: rehash
-- Writes the hash of payloads that mean what they meant; their status stays.
UPDATE {table}
SET current_hash = changed.hash
FROM (SELECT column1 AS row_id, column2 AS hash FROM {rows}) AS changed
WHERE id = changed.row_id AND id {ids};

-- name: delete_held
-- Children left that the receiver holds: their deletion is due. The payload stays, for its ids.
UPDATE {table}
SET row_state = 'deleted', submission_status = 'pending'{more}
WHERE id {ids};

-- name: delete_unknown
-- Children left of whom the receiver never heard: nothing is due.
UPDATE {table}
SET row_state = 'deleted'{more}
WHERE id {ids};

-- name: read_left_windows
-- Reads what left the time window without being deleted, so that it can be seen when it does vanish from the SSD.
SELECT person_id, elements
FROM {left_window};

-- name: delete_left_window
-- Deletes what was recorded of people, before the new records are inserted.
DELETE FROM {left_window}
WHERE person_id {people};

-- name: insert_left_window
-- Records which parts of a record left the time window: `run` does not purge them.
INSERT INTO {left_window} (person_id, elements)
VALUES {values};

-- name: read_built
-- Reads what the staged payloads were built from, so that those of unchanged sources need not be built again.
SELECT person_id, source_hash, first_day, last_day, issues
FROM {built};

-- name: delete_built
-- Deletes what was recorded of people, before the new records are inserted, or because the people left.
DELETE FROM {built}
WHERE person_id {people};

-- name: insert_built
-- Records what payloads were built from, in the transaction that stages them.
INSERT INTO {built} (person_id, source_hash, first_day, last_day, issues)
SELECT column1, column2, column3, column4, column5
FROM {rows};
