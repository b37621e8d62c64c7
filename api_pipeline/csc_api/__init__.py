"""The Children's Social Care API on the wire: one request, and what its answer means.

The room uses `transport`, `auth` and `model`; it knows no database. Start reading at `answers.classify`, then
`client.CscReceiver`.
"""
