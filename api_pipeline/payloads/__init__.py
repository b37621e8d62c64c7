"""What a payload is: its shape, how two of them differ, which rules it breaks, and which record is sent for a row.

The room is pure: functions of their arguments, without files, clock or network (the packaged schema apart). It uses
`model` and `common`. Start reading at `plan`, which returns the record that is sent for a row, by means of `shape` and
`diff`. `schema_check` and `census_rules` find what is wrong in a payload.
"""
