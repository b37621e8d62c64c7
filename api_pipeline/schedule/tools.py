"""The schedulers' own programs, started without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from api_pipeline.errors import PipelineError, SettingsError, reason_of

_WAIT_S = 60
# schtasks writes the letters of the console's code page.
_ENCODING = "oem" if sys.platform == "win32" else "utf-8"
_SHOWN = 300
_SYSTEM_FOLDER = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32") if sys.platform == "win32" else None


@dataclass(frozen=True, slots=True)
class Done:
    """What a program left: exit code and texts."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Return what the program said, on one line and not too long."""
        return " ".join((self.err.strip() or self.out.strip()).split())[:_SHOWN]


def ask(program: str, arguments: Sequence[str], stdin: str | None = None) -> Done:
    """Run a program and return what it left. Errors: SettingsError where it is not there, PipelineError on time-out."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the program is one of three by name
            [found(program), *arguments],
            input=stdin if stdin is not None else "",
            capture_output=True,
            encoding=_ENCODING,
            errors="replace",
            timeout=_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PipelineError(f"{program} did not end within {_WAIT_S} s; the task may be half made.") from None
    except OSError as error:
        raise PipelineError(f"{program} could not be started ({reason_of(error)}).") from None
    return Done(done.returncode, done.stdout, done.stderr)


def order(program: str, arguments: Sequence[str], stdin: str | None = None) -> Done:
    """Run a program as `ask` does, and insist on its success. Errors: those, and PipelineError."""
    done = ask(program, arguments, stdin)
    if done.code:
        raise PipelineError(f"{program} {arguments[0]} ended with code {done.code}: {done.said or 'it said nothing'}")
    return done


def converse(program: str, arguments: Sequence[str]) -> None:
    """Run a program that may ask the operator for something, such as a password. Errors: as `order`."""
    try:
        code = subprocess.run([found(program), *arguments], check=False).returncode  # noqa: S603 - as above
    except OSError as error:
        raise PipelineError(f"{program} could not be started ({reason_of(error)}).") from None
    if code:
        raise PipelineError(f"{program} {arguments[0]} ended with code {code}; what it printed says why.")


def found(program: str, folder: Path | None = _SYSTEM_FOLDER) -> str:
    """Return the path of a program, in `folder` where one is given. Errors: SettingsError where it is not there.

    On Windows it is the system's folder: a search begins in the working folder, where others may put a program.
    """
    path = shutil.which(str(folder / f"{program}.exe") if folder else program)
    if path is None:
        raise SettingsError(f"{program} was not found on this machine; choose another scheduler with --kind.")
    return path
