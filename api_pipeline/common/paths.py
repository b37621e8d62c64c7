"""What stands at a path, asked so that a folder that may not be entered is not an error of the program.

`Path.is_file` and its kin raise an error there in some versions of Python and answer no in others, and "no" would send
the operator to look for a file that is where it should be.
"""

from __future__ import annotations

import stat
from pathlib import Path


def is_there(path: Path) -> bool:
    """Return whether something stands there, or may: also true where this account may not look. Opening it says so."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Return whether a folder stands there, as far as this account may see."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one file, or would where it is not there yet."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return one.absolute() == other.absolute()


def is_readable_kind(path: Path) -> bool:
    """Return whether what stands there is no folder and no endless pipe, as far as this account may see."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return True
    return not (stat.S_ISDIR(mode) or stat.S_ISFIFO(mode))
