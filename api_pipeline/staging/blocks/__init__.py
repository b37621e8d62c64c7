"""One function for each block of the payload (mapping 4 to 7).

The functions are pure: rows in, a part of the payload out. Start reading at `episodes.py`, which calls the others.
"""
