"""Who is told of a run: webhook, mail and ping when it ends, and the file of metrics.

Counts, times and the exit code only: nothing here ever knows a person's id, a reason or a payload.
"""
