"""The Children's Social Care API on the wire: one request, and what its answer means.

Uses transport, auth and model; knows no database. Start reading at `answers.classify`, then `client.CscReceiver`.
"""
