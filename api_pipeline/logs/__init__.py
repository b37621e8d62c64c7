"""What leaves the process as text: log handlers, secrets redacted, personal values masked.

The room writes to streams, files and the system's log; it knows no database and no network. It may use `settings` and
the rooms below. Start reading at `redaction.py` (secrets), then `masking.py` (values of children) and `handlers.py`
(logs).
"""
