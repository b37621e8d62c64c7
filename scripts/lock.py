"""Locks what development, CI and the executable are made with: one version of each package, with its hashes.

The package's own ranges stay open. Each file of `FILES` is one environment, or a part of one, for every Python and
system that the project is for; a package that stands in two files has the same version in both.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What each file has: `runtime` is what the package itself needs, the others are its extras.
FILES = {
    "runtime": ("runtime", "ntlm"),
    "executable": ("runtime", "ntlm", "executable"),
    "test": ("test",),
    "docs": ("docs",),
    "build": ("build",),
    "release": ("release",),
}
# What builds the package, from the table build-system of pyproject.toml.
SETUP = "setup"
OLDEST_PYTHON = "3.10"


def path_of(name: str) -> Path:
    """Return the lock file of a name."""
    return ROOT / "packaging" / f"requirements-{name}.txt"


def needs(name: str) -> list[str]:
    """Return what pyproject.toml asks for under a name."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if name == SETUP:
        return _strings(text, "requires")
    return [one for extra in FILES[name] for one in _strings(text, "dependencies" if extra == "runtime" else extra)]


def _strings(text: str, name: str) -> list[str]:
    # Python 3.10 has no reader of TOML. Each entry stands on a line of its own, or all on the first.
    found = re.search(rf"^{name} = \[(.*(?:\n +\".*)*)\n?\]$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"pyproject.toml has no list {name}")
    return re.findall(r'(?:^|, ) *"([^"]+)"', found[1], re.MULTILINE)


def lock(output: Path, asked: list[str], *options: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--python-version", OLDEST_PYTHON, "--no-python-downloads", "--custom-compile-command", "scripts/lock"]
    subprocess.run(
        [*command, *options, "--output-file", str(output), "-"], input="\n".join(asked), text=True, check=True, cwd=ROOT
    )
    text = output.read_text(encoding="utf-8")
    # Where a requirement came from is a file that is gone by now, or standard input.
    text = re.sub(r"^ +# via (?:-r -|-c \S+)\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ +# +(?:-r -|-c \S+)\n", "", text, flags=re.MULTILINE)
    output.write_text(text, encoding="utf-8", newline="\n")


def _keep_single_versions(path: Path) -> None:
    """Leave a constraint of those packages that have one version for every Python: the rest is the newest anyway."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    names = [name for name, _ in pins]
    path.write_text("".join(f"{name}=={version}\n" for name, version in pins if names.count(name) == 1), "utf-8")


def main(*options: str) -> None:
    """Write every file anew; without `--upgrade` a version that still fits stays."""
    names = [SETUP, *FILES]
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.txt"
        # uv keeps the versions of an output that is there.
        known = [path_of(name).read_text(encoding="utf-8") for name in names if path_of(name).exists()]
        whole.write_text("\n".join(known), encoding="utf-8")
        lock(whole, [one for name in names for one in needs(name)], *options)
        _keep_single_versions(whole)
        for name in names:
            lock(path_of(name), needs(name), "--constraint", str(whole), "--upgrade")
            print(path_of(name).relative_to(ROOT))


if __name__ == "__main__":
    main(*sys.argv[1:])
