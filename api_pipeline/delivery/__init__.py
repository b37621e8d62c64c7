"""The run: what is due becomes batches, batches become outcomes, outcomes are written back.

It uses `outbox`, `payloads` and the answers of `csc_api`, and neither HTTP nor a database driver. Start reading at
`run.Run`, then `pages.Pages` (which rows are due, and the baselines of their children), `planner.Planner` (which record
is sent), `sender_pool.SenderPool` and `batch_delivery.Delivery` (one batch). `access_probe` and `division` find out
whether an error comes from the access, the receiver or a record. `stop_token` has why a run stops, and `dry_run` counts
what a run would send.
"""
