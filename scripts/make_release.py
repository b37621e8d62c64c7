"""Put together what a release consists of: the same input gives the same files, byte for byte.

The time of every file in release.zip is SOURCE_DATE_EPOCH, and nothing in it depends on this machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from api_pipeline import __version__  # noqa: E402
from api_pipeline.sql import ddl  # noqa: E402 - the version in this checkout, not in an installed package
from api_pipeline.sql.identifiers import Dialect  # noqa: E402

TABLE = "ssd_api_data_staging"
SUMS = "SHA256SUMS.txt"
NOTES = "release-notes.md"
# What belongs into a release beside the package, and the script that makes it.
EXTRAS = {"sbom.cdx.json": "scripts/make-sbom", "pre_flight_checks.zip": "scripts/make-preflight"}
# A zip file knows no earlier time.
EARLIEST = 315532800


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes release.zip, SHA256SUMS.txt and the notes of a release.")
    parser.add_argument("--tag", default=f"v{__version__}", help="the release's tag: v and the package's version")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the package and exe/ lie")
    parser.add_argument("--out", type=Path, default=ROOT / "release", help="made anew; it must not hold anything else")
    options = parser.parse_args()
    if options.tag != f"v{__version__}":
        raise SystemExit(f"The tag {options.tag} is not the package's version {__version__}; correct one of the two.")
    package = packages(options.dist)
    executables = sorted((options.dist / "exe").glob("csc_api_pipeline*"))
    extras = [options.dist / name for name in EXTRAS]
    options.out.mkdir(exist_ok=True)
    for name in ("release.zip", SUMS, NOTES, *(path.name for path in (*package, *executables, *extras))):
        (options.out / name).unlink(missing_ok=True)
    if left := sorted(path.name for path in options.out.iterdir()):
        raise SystemExit(f"{options.out} holds {', '.join(left)}, which is not a part of a release; take it away.")
    write_zip(options.out / "release.zip", contents([*package, *extras], executables))
    for path in (*package, *executables, *extras):
        shutil.copyfile(path, options.out / path.name)
    made = sorted(options.out.iterdir())
    (options.out / SUMS).write_bytes(sums({path.name: path.read_bytes() for path in made}))
    (options.out / NOTES).write_text(notes(), encoding="utf-8", newline="\n")
    print((options.out / SUMS).read_text(encoding="utf-8"), end="")


def packages(dist: Path) -> list[Path]:
    """Return the wheel and the source distribution of this version; end the program where a part is missing."""
    names = f"csc_api_pipeline-{__version__}"
    found = [*dist.glob(f"{names}-*.whl"), *dist.glob(f"{names}.tar.gz")]
    if len(found) != 2:
        raise SystemExit(f"{dist} does not hold one wheel and one source distribution of {__version__}: scripts/build")
    for name, script in EXTRAS.items():
        if not (dist / name).is_file():
            raise SystemExit(f"{dist} does not hold {name}; {script} makes it.")
    return found


def contents(files: Iterable[Path], executables: Iterable[Path]) -> dict[str, bytes]:
    """Return what release.zip holds, by name; the executables are told of in its SHA256SUMS.txt alone."""
    held = {path.name: path.read_bytes() for path in files}
    for name in (".env.example", "README.md", "CHANGELOG.md", "LICENSE"):
        held[name] = (ROOT / name).read_bytes()
    for path in sorted((ROOT / "docs" / "schedules").iterdir()):
        if path.is_file():
            held[f"schedules/{path.name}"] = path.read_bytes()
    for dialect in Dialect:
        for version in ddl.VERSIONS if dialect is Dialect.SQLSERVER else ddl.VERSIONS[:1]:
            held[f"sql/{ddl.script_name(dialect, version)}"] = ddl.render(dialect, TABLE, version).encode("utf-8")
    told = {**held, **{path.name: path.read_bytes() for path in executables}}
    return {**held, SUMS: sums(told)}


def sums(files: Mapping[str, bytes]) -> bytes:
    """Return the lines that `sha256sum --check` reads, in the order of the names."""
    return "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode("utf-8")


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip file that depends on nothing but `files` and SOURCE_DATE_EPOCH."""
    moment = datetime.fromtimestamp(max(int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST)), EARLIEST), timezone.utc)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # else it would tell of Windows or not
            entry.external_attr = 0o100644 << 16
            made.writestr(entry, files[name])


def notes() -> str:
    """Return the change log's section of this version, or of what is not released yet where it has none."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    for wanted in (f"[{__version__}]", __version__, "[Unreleased]", "Unreleased"):
        for section in sections:
            if section.startswith(wanted):
                return section.partition("\n")[2].strip() + "\n"
    raise SystemExit(f"CHANGELOG.md has no section for {__version__}; write what changes for a council tonight.")


if __name__ == "__main__":
    main()
