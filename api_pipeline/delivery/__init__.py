"""The run: what is due becomes batches, batches become outcomes, outcomes are written back.

Uses outbox, payload and the answers of csc_api; knows neither the wire nor a driver. Start reading at `run.Run`, then
`pages.Pages` (which rows are due, what is held), `planner.Planner` (which records), `sender_pool.SenderPool` and
`batch_delivery.Delivery` (one batch).
"""
