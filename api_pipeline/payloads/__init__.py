"""What a payload is: its shape, how two of them differ, which rules it breaks, which parts are retained.

The room is pure: functions of their arguments, without files, clock or network (the packaged schema apart). It uses
`model` only. Start reading at `shape`, then `diff`; `schema_check` and `census_rules` find what is wrong in a payload.
"""
