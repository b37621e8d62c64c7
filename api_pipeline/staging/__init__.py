"""From the council's own tables (Standard Safeguarding Dataset, SSD) to staged payloads.

`tables` and `rows` say what is read, `cohort` who is in, `blocks` and its kin what each part of a payload holds,
`fields` is the table of all fields, `build` puts a payload together, `meaning` says when two payloads mean the same.
"""
