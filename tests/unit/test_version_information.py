"""The version information of the Windows executable, read as PyInstaller reads it: as an expression."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import pytest

from api_pipeline import __version__
from tests.support.commands import ROOT

NAMES = ("VSVersionInfo", "FixedFileInfo", "StringFileInfo", "StringTable", "StringStruct", "VarFileInfo", "VarStruct")
version_information: Callable[[str], str] = runpy.run_path(str(ROOT / "packaging" / "version_information.py"))[
    "version_information"
]


def read(version: str) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Return every part of the information with what it was made of."""
    parts: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def kind(name: str) -> Callable[..., str]:
        def made(*values: Any, **named: Any) -> str:
            parts.append((name, values, named))
            return name

        return made

    eval(version_information(version), {name: kind(name) for name in NAMES})
    return parts


def texts(version: str) -> dict[str, str]:
    return dict(values for name, values, _ in read(version) if name == "StringStruct")


def test_properties_of_the_file_show_the_packages_version() -> None:
    shown = texts(__version__)

    assert (shown["FileVersion"], shown["ProductVersion"]) == (__version__, __version__)
    assert shown["OriginalFilename"] == "csc_api_pipeline.exe"


@pytest.mark.parametrize(
    ("version", "numbers"), [("1.2.3", (1, 2, 3, 0)), ("2.0rc1", (2, 0, 0, 0)), ("1.2.3.4.dev5", (1, 2, 3, 4))]
)
def test_windows_gets_four_numbers_to_compare(version: str, numbers: tuple[int, ...]) -> None:
    (fixed,) = [named for name, _, named in read(version) if name == "FixedFileInfo"]

    assert fixed["filevers"] == fixed["prodvers"] == numbers


def test_texts_are_said_to_be_in_the_language_of_their_table() -> None:
    parts = read("1.0")
    (table,) = [values[0] for name, values, _ in parts if name == "StringTable"]
    (language, letters) = next(values[1] for name, values, _ in parts if name == "VarStruct")

    assert table == f"{language:04X}{letters:04X}"


def test_what_is_no_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no version"):
        version_information("unknown")
