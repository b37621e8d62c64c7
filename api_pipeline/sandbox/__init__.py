"""Everything invented: children, a sample table, a synthetic SSD, and receivers to rehearse with.

Nothing that a live run needs imports this room. It may use the rooms below it, `staging` for the shape of the SSD's
tables among them. Start reading at `invented_children.py` (one child), then `simulator/` (the receivers) and
`synthetic_ssd/` (a council's tables).
"""
