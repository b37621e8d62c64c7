"""Small tools that several rooms share, such as the form of a time stamp or a file that only its owner can read.

Each module stands alone: it uses nothing of ours but the version number. A tool moves here when a second room needs it,
so that it is never copied. Start reading at `bisect`, the only one with more than a few functions.
"""
