"""The staging table and its control tables: due rows out, outcomes in.

The room reads due rows and baselines (`staging_table`), writes the outcomes of each POST back in one transaction
(`write_back`, made to outlive the database by `reliable_write_back`), and keeps the run lock, the run journal and the
receipt spool. It uses `db`, `sql` and `model`, and never HTTP. Start reading at `staging_table`, then `write_back`.
"""
