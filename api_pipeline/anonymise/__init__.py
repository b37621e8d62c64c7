"""The anonymised copy: invented children in the shape of the live ones, for rehearsals with the receiver.

The room reads the live table and fills the copy, and sends nothing. It may use `db`, `outbox`
and `payloads`. Start reading at `filling` (a whole table), then `record` (one invented record of one
live record, pure) and `fields` (what each member of a payload is). `walk` makes a record member by member, `child`
invents for one child, `keyed` holds the key of a run; `check` finds what survived, in `pairs` of values.
"""
