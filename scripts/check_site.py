"""Check the built documentation: every link and anchor leads somewhere, every picture is described, and nothing that a
page loads comes from elsewhere.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
_LOADING_LINKS = frozenset({"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "manifest", "prefetch"})
_STYLE = re.compile(r"""url\(\s*['"]?((?:https?:)?//[^'")]+)|@import\s+['"]((?:https?:)?//[^'"]+)""")


@dataclass
class Page:
    """What a page has: the ids that can be jumped to, its links, what it loads, and pictures without a description."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    undescribed: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.page.ids.add(given["id"])
        if tag == "a" and "name" in given:
            self.page.ids.add(given["name"])
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if tag in _LOADED and given.get(_LOADED[tag]):
            self.page.loads.append(given[_LOADED[tag]])
        if tag == "link" and _LOADING_LINKS & set(given.get("rel", "").split()):
            self.page.loads.append(given.get("href", ""))
        if tag == "img" and not given.get("alt"):
            self.page.undescribed.append(given.get("src", ""))


def faults(site: Path) -> list[str]:
    """Return a sentence for everything that is wrong with a built site."""
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    found = [f"{site} holds no page"] if not pages else []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name} loads {url} from elsewhere" for url in page.loads if _is_elsewhere(url)]
        found += [f"{name} has a picture without a description: {picture}" for picture in page.undescribed]
        found += [
            f"{name}: {error}" for link in [*page.links, *page.loads] if (error := _error_of(link, path, site, pages))
        ]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(site)} loads {one or other}" for one, other in _STYLE.findall(text)]
    return found


def _read(path: Path) -> Page:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def _is_elsewhere(url: str) -> bool:
    return bool(urlsplit(url).netloc)


def _error_of(link: str, path: Path, site: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    # A missing page is answered by 404.html wherever it was looked for, so that page's links begin at the site's root.
    base = site if parts.path.startswith("/") else path.parent
    target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return f"the link {link} leads nowhere"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"the link {link} names a place that is not there"
    return ""


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]))
    print("\n".join(wrong) or "every link leads somewhere, and nothing comes from elsewhere")
    raise SystemExit(bool(wrong))
