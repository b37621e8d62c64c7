"""The composition root: a run is put together from the settings here, and taken apart again.

The room uses every room below it. It alone chooses the real receiver or the simulated one, and holds no rule of its
own. Start reading at `run`: `checks` looks at the tables before anything is sent, `parts` makes what a run consists of.
"""
