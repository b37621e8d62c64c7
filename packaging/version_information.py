"""The version information that Windows shows of the executable (Properties, Details), as PyInstaller reads it."""

from __future__ import annotations

import re

_TEXTS = {
    "CompanyName": "Data to Insight",
    "FileDescription": "Sends staged children's social care records to the Department for Education",
    "FileVersion": "{version}",
    "InternalName": "csc_api_pipeline",
    "LegalCopyright": "MIT licence",
    "OriginalFilename": "csc_api_pipeline.exe",
    "ProductName": "csc-api-pipeline",
    "ProductVersion": "{version}",
}
_BRITISH_ENGLISH, _UNICODE = 0x0809, 0x04B0


def version_information(version: str) -> str:
    """Return the text of a version file for a version of the package, such as 1.2.3 or 1.2.3rc1.

    Windows compares four numbers: those that `version` begins with, filled up with zeros.
    Errors: ValueError where it begins with no number.
    """
    found = re.match(r"\d+(\.\d+){0,3}", version)
    if found is None:
        raise ValueError(f"{version} is no version of a package.")
    numbers = tuple([*map(int, found[0].split(".")), 0, 0, 0][:4])
    texts = ",\n        ".join(
        f"StringStruct({name!r}, {text.format(version=version)!r})" for name, text in _TEXTS.items()
    )
    return f"""VSVersionInfo(
  ffi=FixedFileInfo(
    filevers={numbers}, prodvers={numbers}, mask=0x3F, flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0, date=(0, 0)
  ),
  kids=[
    StringFileInfo([
      StringTable('{_BRITISH_ENGLISH:04X}{_UNICODE:04X}', [
        {texts}
      ])
    ]),
    VarFileInfo([VarStruct('Translation', [{_BRITISH_ENGLISH}, {_UNICODE}])])
  ]
)
"""
