"""TEC's Single Data Return: a submission session for the tertiary providers of New Zealand.

A submission is a set difference between the staging table (`sdr_staging`) and what TEC holds for a return period
(`sdr_held`), sent one request at a time, and a validation at TEC follows it. The room uses `transport`, `auth`, `db`,
`sql`, `settings` and `logs`; it knows nothing of the children's service. Start reading at `flows.submit`, which is a
command from its lock to its journal; then `run.Submission`, with `due`, `line`, `delivery` and `baseline` in the order
in which a record passes them; then `session` and `receiver` for what TEC is asked, and `validation` for what follows.
"""
