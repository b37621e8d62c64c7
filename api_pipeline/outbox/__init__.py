"""The staging table and its control tables: due rows out, outcomes in.

The room reads due rows (`staging_table`) and baselines (`baselines`), writes the outcomes of each POST back in one
transaction (`write_back`; `reliable_write_back` if the database fails), and keeps the run journal and the
receipt spool. It uses `db`, `sql` and `model`, and never HTTP. Start reading at `staged_rows`, which says what a row is
and when it is due, then `staging_table`, then `write_back`.
"""
