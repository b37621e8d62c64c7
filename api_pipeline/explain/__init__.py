"""What a run would do, and why: the dry run of the whole table, and the story of one child.

The room reads the outbox and plans as a run does, through `assembly`; it writes nothing and sends nothing. Start
reading at `dry_run.py` for the table, and at `story.py` for a child.
"""
