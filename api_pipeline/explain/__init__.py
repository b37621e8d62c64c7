"""What a run would do, and why: the dry run of the whole table, and the story of one child.

The room uses the outbox and the planner of a run, through `assembly`; it writes nothing and sends nothing. Start
reading at `dry_run.py` for the table, and at `story.py` for a child.
"""
