"""The click commands, one file for each.

A command parses its options, calls one function of the rooms below, prints, and chooses the exit code. It may use
`interface`, `assembly`, `diagnostics`, `reports`, click and the standard streams; never SQL, HTTP or threads. Start
reading at `run.py`; what all commands share is in `common.py`.
"""
