"""The lines of a CSV file: read in the encoding that it has, to its end, or refused as a whole."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from api_pipeline.errors import SettingsError, reason_of


def lines_of(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each line, the titles first. Errors: SettingsError for a file that cannot be read."""
    try:
        with path.open(encoding=_encoding_of(path), newline="") as file:
            # Strict: a quote that is never closed would swallow every row behind it.
            yield from csv.reader(file, strict=True)
    except csv.Error as error:
        raise SettingsError(
            f"The file {path.name} cannot be read as CSV ({error}); nothing was loaded. Double each quote that stands "
            "within a cell, and close each that opens one."
        ) from None
    except FileNotFoundError:
        raise SettingsError(f"There is no file {path}; nothing was loaded. Check its path.") from None
    except PermissionError:
        # Windows says so too while a spreadsheet has the file open.
        raise SettingsError(
            f"The file {path} may not be read; nothing was loaded. Close it in Excel or any other program that has it "
            "open; if none has, let this account read it."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The file {path} cannot be read ({reason_of(error)}); nothing was loaded. Check its path."
        ) from None


def _encoding_of(path: Path) -> str:
    """Return the encoding in which the whole file can be read. Errors: SettingsError where there is none, OSError."""
    with path.open("rb") as raw:
        is_utf_16 = raw.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    for encoding in ("utf-16",) if is_utf_16 else ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError), path.open(encoding=encoding, newline="") as file:
            # To the end, so that a letter of another encoding is found before a row is used. UTF-16 that does not say
            # so reads as Windows-1252 with null characters.
            if not any("\0" in line for line in file):
                return encoding
    raise SettingsError(
        f"The file {path.name} is neither UTF-8 nor Windows-1252 text throughout; nothing was loaded. Save it as CSV "
        "UTF-8."
    )


def check_end(path: Path, number: int) -> None:
    """Raise SettingsError where the last row, which has fewer cells than titles, is not ended: the rest is missing."""
    with path.open("rb") as raw:
        raw.seek(-min(2, raw.seek(0, 2)), 2)
        # In UTF-16 a null byte stands beside the sign.
        if raw.read().strip(b"\0")[-1:] in (b"\n", b"\r"):
            return
    raise SettingsError(
        f"The file {path.name} ends in the middle of row {number}; nothing was loaded. Write the whole file again: the "
        "rows behind it are missing."
    )
