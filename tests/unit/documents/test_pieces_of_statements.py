"""What the page of SQL statements explains is written in its statements, and the other way round."""

from __future__ import annotations

import re

from tests.support.documents import DOCS

PAGE = (DOCS / "reference" / "sql.md").read_text(encoding="utf-8")
_STATEMENT = re.compile(r"```sql\n.*?```", re.DOTALL)


def test_each_piece_in_braces_is_explained_and_no_other() -> None:
    written = set(re.findall(r"\{\w+\}", "".join(_STATEMENT.findall(PAGE))))
    prose = _STATEMENT.sub("", PAGE)
    table = prose.partition("## ")[0]

    assert [piece for piece in sorted(written) if f"`{piece}`" not in prose] == []
    assert sorted(set(re.findall(r"`\(?(\{\w+\})\)?`", table)) - written) == []
