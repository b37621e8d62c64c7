"""Near misses: a name or a file that is nearly right and has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from api_pipeline.common.paths import is_folder, is_there
from api_pipeline.settings.definitions import NAMES, canonical_name
from api_pipeline.settings.definitions.xporter import school_secret_of
from api_pipeline.settings.env_file import FILE_NAMES, MISNAMED

_ENVIRONMENT_ONLY = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
_ALIKE_IN_FILE = 0.8
# The environment holds names of many programs: only one that differs by a slip of the finger is named.
_ALIKE_IN_ENVIRONMENT = 0.9
_SHORTEST = 7


def misspelt_names(names: Iterable[str], where: str) -> list[str]:
    """Return a sentence for each name of a settings file that is not a setting and looks like one."""
    sentences = []
    for name in names:
        if canonical_name(name) or school_secret_of(name):
            continue
        if name.upper() in _ENVIRONMENT_ONLY:
            sentences.append(f"{name} in {where} has no effect; set it in the environment, or use PROXY_URL.")
        elif alike := _alike(name, _ALIKE_IN_FILE):
            sentences.append(_misspelt(name, where, alike))
    return sentences


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each environment variable whose name is nearly that of a setting which is not set."""
    sentences = []
    for name in environ:
        if canonical_name(name) or school_secret_of(name) or len(name) < _SHORTEST:
            continue
        alike = canonical_name(name.upper()) or ("_" in name and _alike(name, _ALIKE_IN_ENVIRONMENT))
        if alike and not environ.get(alike):
            sentences.append(_misspelt(name, "the environment", alike))
    return sentences


def unread_files(read: Path | None, cwd: Path, executable_folder: Path | None) -> list[str]:
    """Return a sentence for each settings file that is there and is not read; `read` is the one that is."""
    folders = dict.fromkeys([cwd, *([executable_folder] if executable_folder else [])])
    candidates = [folder / name for folder in folders for name in (*FILE_NAMES, MISNAMED)]
    sentences = []
    for path in candidates:
        if path == read or not is_there(path):
            continue
        if is_folder(path):
            # As an environment of Python is named that was made by: python -m venv .env
            sentences.append(
                f"{path} is a folder, so no settings are read from it; rename it, or name a file by --env-file."
            )
        elif read is None:
            another = f"The file {path} is not read, because another one was asked for."
            sentences.append(another if path.name in FILE_NAMES else not_read(path))
        else:
            # A file named by --env-file may stand beside another on purpose: test.env beside .env.
            alone = f"The file {path} is not read, because {read} is."
            two_files = f"The file {path} is not read, because {read} is; keep the settings in one of them."
            sentences.append(two_files if read in candidates else alone)
    return sentences


def not_read(path: Path) -> str:
    """Return the sentence about a file that has nearly the name of the settings file."""
    return f"The file {path.name} in {path.parent} is not read; rename it to .env, with nothing behind it."


def _misspelt(name: str, where: str, alike: str) -> str:
    return f"{name} in {where} is not a setting and has no effect; {alike} is one."


def _alike(name: str, cutoff: float) -> str | None:
    import difflib  # seldom used, and slow to import

    return next(iter(difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=cutoff)), None)
