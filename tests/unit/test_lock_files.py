"""The lock files: each has what pyproject.toml asks for, in a version that fits, with hashes."""

import re
from collections.abc import Iterator
from itertools import combinations

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import FILES, SETUP, needs, path_of

NAMES = [SETUP, *FILES]
SYSTEMS = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.7", **system}
    for minor in (10, 11, 12, 13)
    for system in (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    )
]


def pins(name: str) -> Iterator[tuple[Requirement, int]]:
    """Yield each package of a lock file with how many hashes it has."""
    for entry in re.split(r"\n(?=[\w.-]+==)", path_of(name).read_text(encoding="utf-8"))[1:]:
        yield Requirement(entry.partition(" \\\n")[0]), entry.count("--hash=sha256:")


def holds(marker: Marker | None, system: dict[str, str]) -> bool:
    return marker is None or marker.evaluate({**system, "extra": ""})


def versions(name: str, system: dict[str, str]) -> dict[str, str]:
    """Return which version a lock file gives each package on a system."""
    found: dict[str, str] = {}
    for pin, _ in pins(name):
        if holds(pin.marker, system):
            package = canonicalize_name(pin.name)
            assert package not in found, f"{name}: {package} twice for {system}"
            found[package] = str(pin.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_is_locked_in_a_version_that_fits(name: str) -> None:
    assert needs(name)
    for system in SYSTEMS:
        locked = versions(name, system)
        for need in map(Requirement, needs(name)):
            if holds(need.marker, system):
                assert need.specifier.contains(locked[canonicalize_name(need.name)]), f"{need}: run scripts/lock"


@pytest.mark.parametrize("name", NAMES)
def test_each_package_is_locked_to_one_version_with_its_hashes(name: str) -> None:
    for pin, hashes in pins(name):
        assert re.fullmatch(r"==[^,*]+", str(pin.specifier)), pin
        assert hashes >= 1, pin


def test_two_lock_files_never_disagree_on_a_version() -> None:
    for system in SYSTEMS:
        of_each = {name: versions(name, system) for name in NAMES}
        for one, other in combinations(NAMES, 2):
            both = of_each[one].keys() & of_each[other].keys()
            assert {p: of_each[one][p] for p in both} == {p: of_each[other][p] for p in both}, (
                f"{one}, {other}: {system}"
            )
