"""From the council's own tables (Standard Safeguarding Dataset, SSD) to payloads in the staging table.

`session` puts a staging together and keeps the run lock; `stager` is the way of one staging. `tables` and `rows` say
what is read, `cohort` who is in, `blocks` what each part of a payload holds, `fields` is the table of all fields,
`build` puts a payload together, `meaning` says when two payloads mean the same, `staged` reads the staging table,
`writer` changes it.
The room uses `db`, `sql`, `outbox` and `payloads`; it knows neither HTTP nor the run. Start reading at `stager`.
"""
