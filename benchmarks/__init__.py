"""Measure whole runs of the installed program, and a straightforward program beside it."""
