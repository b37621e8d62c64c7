"""Notifications of a run: webhook, mail and ping when it ends, and the file of metrics.

Counts, times and the exit code only: no person's id, no reason and no payload ever comes here. The room may use
`settings`, `transport` and what the services say of their runs. Start reading at `watch.py` (one run), then `ending.py`
(what a message says), `channels.py` (to whom it goes) and `sending.py` (one message).
"""
