"""The composition root: a run is put together from the settings here, and taken apart again.

It alone chooses the real receiver or the simulated one. It may use every room below it, and holds no rule of its own.
Start reading at `run`: `checks` looks at the tables before anything is sent, `parts` makes what a run consists of.
`sdr` does the same for the Single Data Return.
"""
