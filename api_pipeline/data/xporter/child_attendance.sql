-- name: child_attendance
-- Each matched child's attendance by school and week, beside whether the child has an open CIN or CLA episode.
-- Marks are counted by the statutory codes (Working together to improve school attendance, August 2024): what is
-- neither present nor absent there (#, D, Q, X, Y, Z and no mark) is not possible attendance. A code that is none of
-- them counts as possible and is seen in unknown_marks.
SELECT
    person.pers_person_id AS person_id,
    person.pers_upn AS upn,
    student.estab AS estab,
    mark.time_window AS week_from,
    SUM(CASE WHEN mark.{c_mark} IN ('#', '-', 'D', 'Q', 'X', 'Z') OR mark.{c_mark} LIKE 'Y%' OR mark.{c_mark} IS NULL
        THEN 0 ELSE 1 END) AS possible,
    SUM(CASE WHEN mark.{c_mark} IN ('/', '\', 'L', 'B', 'J1', 'K', 'P', 'V', 'W') THEN 1 ELSE 0 END) AS present,
    SUM(CASE WHEN mark.{c_mark} IN ('C', 'C1', 'C2', 'E', 'H', 'I', 'J', 'M', 'R', 'S', 'T') THEN 1 ELSE 0 END)
        AS authorised,
    SUM(CASE WHEN mark.{c_mark} IN ('G', 'N', 'O', 'U') THEN 1 ELSE 0 END) AS unauthorised,
    SUM(CASE WHEN mark.{c_mark} IN ('#', '-', 'D', 'Q', 'X', 'Z', '/', '\', 'L', 'B', 'J1', 'K', 'P', 'V', 'W', 'C',
        'C1', 'C2', 'E', 'H', 'I', 'J', 'M', 'R', 'S', 'T', 'G', 'N', 'O', 'U') OR mark.{c_mark} LIKE 'Y%'
        OR mark.{c_mark} IS NULL THEN 0 ELSE 1 END) AS unknown_marks,
    MAX(mark.{c_date}) AS last_mark_on,
    CASE WHEN EXISTS (SELECT 1 FROM {cin} AS cin WHERE cin.cine_person_id = person.pers_person_id
        AND cin.cine_close_date IS NULL) THEN 1 ELSE 0 END AS is_cin,
    CASE WHEN EXISTS (SELECT 1 FROM {cla} AS cla WHERE cla.clae_person_id = person.pers_person_id
        AND cla.clae_cla_episode_ceased_date IS NULL) THEN 1 ELSE 0 END AS is_cla
FROM {person} AS person
INNER JOIN {students} AS student ON UPPER(LTRIM(RTRIM(student.{c_upn}))){usual} = UPPER(LTRIM(RTRIM(person.pers_upn)))
    AND LTRIM(RTRIM(person.pers_upn)) <> ''
LEFT JOIN {marks} AS mark ON mark.estab = student.estab AND mark.{c_studentid} = student.{c_id}
GROUP BY person.pers_person_id, person.pers_upn, student.estab, mark.time_window
