"""Write the pages of the documentation that are made from the code, and `.env.example`.

`pages` gives every page with its text; a test compares them with what is committed.
"""

from __future__ import annotations

from pathlib import Path

from api_pipeline.settings.reference import env_example
from scripts import draw_rooms, reference_sdr, reference_troubles
from scripts.reference_commands import cli_page, python_page
from scripts.reference_data import checks_page, ddl_page, sql_page, staged_fields_page
from scripts.reference_json import json_page
from scripts.reference_settings import settings_page

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    docs = ROOT / "docs"
    made = {
        docs / "reference/cli.md": cli_page(),
        docs / "reference/settings.md": settings_page(),
        docs / "reference/sql.md": sql_page(),
        docs / "reference/ddl.md": ddl_page(),
        docs / "reference/checks.md": checks_page(),
        docs / "reference/python.md": python_page(),
        docs / "reference/json.md": json_page(),
        **reference_troubles.pages(),
        docs / "staging-fields.md": staged_fields_page(),
        ROOT / ".env.example": env_example(),
        draw_rooms.PICTURE: draw_rooms.picture(),
        **reference_sdr.pages(docs),
    }
    return {path: f"{text.rstrip()}\n" for path, text in made.items()}


def main() -> None:
    """Write every generated file whose text changed, and names it."""
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
