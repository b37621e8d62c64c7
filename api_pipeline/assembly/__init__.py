"""The composition root: put a run together from the settings, and take it apart at its end.

Only this room chooses the real receiver or the simulated one. It may use every room below it, and holds no rule of its
own. Start reading at `run`: `checks` looks at the tables before anything is sent, `parts` makes what a run consists of.
`sdr` does the same for the Single Data Return.
"""
