"""What is right and wrong around a run: database, tables, payloads, and the way to the receiver.

Each test is a walk of steps with a time, an outcome and advice (`steps.py`); `database.py`, `endpoint.py` and
`payloads.py` are the tests themselves. The room uses the same connection, session and checks as a run, and never
writes. Start reading at `steps.py`.
"""
