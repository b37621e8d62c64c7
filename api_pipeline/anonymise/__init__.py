"""The anonymised copy: invented children in the shape of the live ones, for rehearsals with the receiver.

`fields` says what each member of a payload is, `keyed` holds the key of a run, `child` invents for one child, `record`
makes one invented record of one live record (pure), `check` finds what survived, `filling` does it for a whole table.
"""
