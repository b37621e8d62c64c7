"""TEC's Single Data Return: a submission session for the tertiary providers of New Zealand.

A submission is a set difference between the staging table (`sdr_staging`) and what TEC holds for a return period
(`sdr_held`), sent one request at a time, and a validation at TEC follows it. The room uses `transport`, `auth`, `db`,
`sql`, `settings` and `logs`; it knows nothing of the children's service. Start reading at `run.Submission`, then
`session`, `receiver`, `store` and `validation`.
"""
