"""The documentation does not fall behind the code: references, links, settings, words."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from api_pipeline.cli import cli
from api_pipeline.errors import PipelineError
from api_pipeline.sdr.settings_table import BY_NAME as SDR_SETTINGS
from api_pipeline.settings.definitions import SETTINGS, canonical_name
from api_pipeline.sql.identifiers import Dialect, table_names
from scripts.check_site import faults
from scripts.make_docs import pages as made_pages
from tests.support.colours import contrast
from tests.support.commands import ROOT
from tests.support.databases import missing
from tests.support.documents import DOCS, blocks, pages, prose

_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
# Settings of other programs, which a page may name.
_OF_OTHERS = {"REQUIRE_ALL", "STRICT_DATABASE", "PYTHONHASHSEED"}


def test_a_table_head_has_words_over_each_column_or_over_none() -> None:
    partly = []
    for page in pages():
        lines = page.read_text(encoding="utf-8").splitlines()
        heads = [head for head, rule in itertools.pairwise(lines) if re.fullmatch(r"\|(?: *:?-+:? *\|)+", rule)]
        for head in heads:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", head)[1:-1]]
            # The style hides a head without any word.
            if any(cells) and not all(cells):
                partly.append((page.name, head))
    assert partly == []


def test_each_table_begins_with_its_head_and_is_not_broken_by_a_blank_line() -> None:
    broken = []
    for page in pages():
        lines = ["", *(line.strip() for line in prose(page).splitlines()), ""]
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            if line.startswith("|") and not before.startswith("|") and not re.fullmatch(r"\|(?: *:?-+:? *\|)+", after):
                broken.append((page.name, line))
    assert broken == []


def test_colours_of_the_site_can_be_read_on_its_backgrounds() -> None:
    style = (DOCS / "assets" / "site.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})\b", part)) for part in _schemes(style))
    for name in ("--md-typeset-a-color", "--md-code-hl-comment-color"):
        # White, and the theme's grey behind code.
        assert all(contrast(light[name], ground) >= 4.5 for ground in ("#ffffff", "#f5f5f5")), name
    assert contrast(dark["--md-typeset-a-color"], "#1e2129") >= 4.5
    assert contrast(light["--md-primary-bg-color"], light["--md-primary-fg-color"]) >= 4.5


def _schemes(style: str) -> tuple[str, str]:
    dark = re.search(r'\[data-md-color-scheme="slate"\] \{(.*?)\}', style, re.DOTALL)
    assert dark
    return style.replace(dark[0], ""), dark[1]


def test_each_generated_page_is_what_the_code_says() -> None:
    # Made here and not when tests are collected: it takes seconds, and every process of the tests collects all of them.
    made = made_pages()
    assert {DOCS / "reference/cli.md", DOCS / "reference/settings.md"} <= made.keys()
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"run scripts/make-docs: {path.name}"


def every_command(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name)
        yield inner.command_path, command
        if isinstance(command, click.Group):
            yield from every_command(command, inner)


COMMANDS = dict(every_command(cli, click.Context(cli, info_name="d2i-csc-api")))


def test_every_command_and_every_option_says_what_it_is_for() -> None:
    assert [path for path, command in COMMANDS.items() if len((command.help or "").split()) < 4] == []
    options = [(path, one) for path, command in COMMANDS.items() for one in command.params]
    assert [(path, one.opts) for path, one in options if isinstance(one, click.Option) and not one.help] == []


def test_every_command_and_every_option_is_in_the_reference() -> None:
    text = text_of("reference/cli.md")
    everywhere = text.partition("## Options that every command has")[2].partition("\n## ")[0]
    absent = []
    for path, command in COMMANDS.items():
        if isinstance(command, click.Group):
            continue
        section = text.partition(f"\n## {path}\n")[2].partition("\n## ")[0]
        names = [name for one in command.params if isinstance(one, click.Option) for name in one.opts]
        names += [name for one in command.params if isinstance(one, click.Option) for name in one.secondary_opts]
        absent += [(path, name) for name in names if f"`{name}`" not in section + everywhere and name != "--help"]
        absent += [] if section else [(path, "the command itself")]
    assert absent == []


def test_every_setting_is_in_the_reference() -> None:
    text = text_of("reference/settings.md")
    assert [setting.name for setting in SETTINGS if f"| `{setting.name}`" not in text] == []


def test_every_exit_code_is_on_the_page_of_results() -> None:
    kinds: list[type[PipelineError]] = [PipelineError, *PipelineError.__subclasses__()]
    codes = {0} | {kind.exit_code for kind in kinds}
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text_of("results.md"), re.MULTILINE)}
    assert told == codes


@pytest.mark.parametrize("page", ["dba.md", "governance.md"])
def test_every_table_we_keep_is_on_the_dba_and_security_pages(page: str) -> None:
    names = table_names("ssd_api_data_staging", Dialect.SQLSERVER)
    kept = list(names)
    assert [name for name in kept if f"`{name}`" not in text_of(page)] == []


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_setting_that_a_page_names_exists() -> None:
    unknown = []
    for path in pages():
        in_files = [line for block in blocks(path) if block.language == "ini" for line in block.text.splitlines()]
        names = {line.partition("=")[0].strip() for line in in_files if "=" in line and not line.startswith("#")}
        names |= {name for name in re.findall(r"`([A-Z][A-Z0-9_]{3,})=[^`]*`", prose(path)) if name not in _OF_OTHERS}
        of_no_setting = (name for name in sorted(names) if canonical_name(name) is None and name not in SDR_SETTINGS)
        unknown += [(path.name, name) for name in of_no_setting]
    assert unknown == []


def test_every_link_leads_to_an_existing_file_and_heading() -> None:
    wrong = []
    for path in pages():
        for link in _LINK.findall(prose(path)):
            target, _, anchor = link.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            file = (path.parent / target).resolve() if target else path
            if not file.exists() or (anchor and anchor not in anchors(file)):
                wrong.append((path.name, link))
    assert wrong == []


@cache
def anchors(path: Path) -> set[str]:
    """Return the places that can be linked to: the site's and GitHub's way of naming a heading agree on these pages."""
    text = path.read_text(encoding="utf-8")
    headings = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(prose(path))]
    plain = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return plain | set(re.findall(r'<a id="([^"]+)"', text))


def test_every_page_is_in_the_site_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = set(re.findall(r": ([\w/-]+\.md)$", menu, re.MULTILINE))
    assert listed == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_every_picture_of_a_page_is_described_and_comes_with_the_page() -> None:
    for path in pages():
        for words, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert len(words.split()) >= 3, f"{path.name}: {target}"
            assert (path.parent / target).is_file(), f"{path.name}: {target}"


def test_every_drawing_describes_itself_to_who_cannot_see_it() -> None:
    for path in (DOCS / "images").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?:href|src)=\"(?:https?:)?//", text), path.name
        assert "<script" not in text
        assert path.name == "favicon.svg" or ('role="img"' in text and "<title" in text), path.name


def test_site_builds_without_broken_or_external_resources(tmp_path: Path) -> None:
    if find_spec("material") is None:
        missing("mkdocs-material is not installed (the extra docs)")
    site = _site_as_built() or _built_site(tmp_path / "site")
    assert faults(site) == []
    assert len(list(site.rglob("*.html"))) > 15
    assert_search_finds(site, "troubleshoot/database.html", ["42S02", "08001", "HYT00", "3960"])
    assert_search_finds(site, "troubleshoot/receiver.html", ["Zscaler", "Netskope", "Forcepoint", "Smoothwall"])


def _site_as_built() -> Path | None:
    """Return the site that scripts/docs built and found sound, None where something changed since."""
    stamp = ROOT / ".venv" / "site-built"
    sources = [ROOT / "mkdocs.yml", ROOT / "scripts" / "check_site.py", *DOCS.rglob("*")]
    is_current = stamp.exists() and all(path.stat().st_mtime < stamp.stat().st_mtime for path in sources)
    return ROOT / "site" if is_current else None


def _built_site(site: Path) -> Path:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def assert_search_finds(site: Path, page: str, words: list[str]) -> None:
    """Fail unless the site's search knows the words, cut out of a text as it cuts them."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    text = " ".join(
        re.sub(r"<[^>]*>", "", entry["text"]) for entry in index["docs"] if entry["location"].startswith(page)
    )
    found = {part.strip(",.;()") for part in re.split(index["config"]["separator"], text)}
    assert set(words) - found == set()


def test_site_check_detects_planted_problems(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<h1 id="top">x</h1><a href="gone.html">a</a><a href="#top">b</a><a href="#away">c</a><img src="p.png">'
        '<script src="https://cdn.example/x.js"></script><link rel="stylesheet" href="//fonts.example/f.css">'
        '<a href="https://example.org">d</a>',
        encoding="utf-8",
    )
    (tmp_path / "s.css").write_text("body { background: url(https://example.org/x.png) }", encoding="utf-8")
    found = "\n".join(faults(tmp_path))
    for fault in (
        "gone.html leads nowhere",
        "#away names",
        "cdn.example/x.js",
        "fonts.example/f.css",
        "without a desc",
    ):
        assert fault in found
    assert "s.css loads https://example.org/x.png" in found
    assert "#top" not in found
    assert "p.png leads nowhere" in found


def test_threat_model_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "security.md").read_text(encoding="utf-8")))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 30
    assert named - defined == set()
