"""Load the libraries that a run needs, before the rooms that need them do.

Python keeps the frames of its calls in chunks of 16 KB. A loop that works at the end of one asks the system for the
next a thousand times, and gives it back. urllib3's long patterns are compiled in such loops where a room that is loaded
by a room loads them: that took a tenth of the CPU of a short run.
"""

import jsonschema_rs  # noqa: F401
import requests  # noqa: F401
