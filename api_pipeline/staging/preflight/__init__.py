"""Checks of the SSD before anything is installed: a read-only SQL script, made from the field table.

A database administrator runs it in a tool of their own. Each rule gives one row: how many rows break it, the key of
one of them, and what `stage` makes of such rows. No value of a field is shown.
"""

from __future__ import annotations

from api_pipeline.staging.preflight.script import render, statements

__all__ = ["render", "statements"]
