"""Which rules and code lists this program builds payloads by, as one hash: another hash, and every payload is new."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from api_pipeline._version import __version__

_PACKAGE = Path(__file__).parents[1]
_PARTS = ("staging", "payloads", "data/csc_payload.schema.json")


def program_hash() -> bytes:
    """Return the hash of the version, the code that builds, and the specification.

    The stand-alone executable carries no code that can be read; there the version stands for it.
    """
    digest = sha256(__version__.encode())
    for path in sorted(path for part in _PARTS for path in _files(_PACKAGE / part)):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.digest()


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [*path.rglob("*.py")]
