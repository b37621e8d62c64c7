"""The guided set-up: from no settings at all to a first rehearsal.

The room asks, tries each answer at once with the tests of `diagnostics`, writes the settings file, and ends with a
rehearsal through `assembly`. It may use every room below it; how a question is asked is its caller's. Start reading at
`guide.py`.
"""
