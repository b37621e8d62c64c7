"""The report page in a real browser: at desk and telephone width, in light, in dark and in print."""

import itertools
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from api_pipeline.reports.report_file import write_index, write_report
from tests.support.browser import Page, browser_page
from tests.support.reports import BEGAN, nights, past_run, people, report

DESK, TELEPHONE = 1280, 390
VIEWS = [*itertools.product((DESK, TELEPHONE), (False, True))]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with all that makes one wide: long words, long ids, large numbers."""
    usual = report()
    errors = [*usual.errors]
    errors[0].people = people(10**40, 60)
    run = past_run(0, due=1_234_567, accepted=1_234_000, refused=567, exit_code=1, mode="testing", message="m" * 300)
    wide = report(run=run, runs=[run, *usual.runs[1:]], table="[a_schema_of_ours].[ssd_api_data_staging_anonymised]")
    return write_report(wide, tmp_path_factory.mktemp("page"))


def pixels(png: bytes) -> list[bytes]:
    """Return the rows of pixels of a PNG as Chromium writes it (8 bits, no interlace), three or four bytes a pixel."""
    width, height, _, kind = struct.unpack(">IIBB", png[16:26])
    size = {2: 3, 6: 4}[kind]
    data, at = b"", 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += length + 12
    raw, stride = zlib.decompress(data), width * size + 1
    assert len(raw) == stride * height
    return [raw[row * stride + 1 : (row + 1) * stride] for row in range(height)]


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_nothing_is_wider_than_the_window(browser: Page, path: Path, width: int, dark: bool) -> None:
    browser.open(path, width=width, dark=dark)
    assert browser.evaluate("document.documentElement.clientWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    outside = browser.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getClientRects().length && !e.closest('thead') && "
        f"e.getBoundingClientRect().right > {width}).map(e => e.tagName + '.' + e.className).slice(0, 5)"
    )
    assert outside == []


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_the_page_is_drawn_and_not_blank(browser: Page, path: Path, width: int, dark: bool) -> None:
    browser.open(path, width=width, dark=dark)
    rows = pixels(browser.screenshot())
    drawn = sum(any(row) for row in rows)
    assert len(rows) > 900
    assert drawn > len(rows) / 3, "rows of a picture of one colour are all zero after its filter"


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
def test_dark_is_dark_and_light_is_light(browser: Page, path: Path, width: int) -> None:
    seen: list[tuple[int, int]] = []
    for dark in (False, True):
        browser.open(path, width=width, dark=dark)
        seen.append((brightness(browser, "backgroundColor"), brightness(browser, "color")))
    (light_ground, light_ink), (dark_ground, dark_ink) = seen
    assert light_ground > 600 > 150 > light_ink
    assert dark_ground < 150 < 600 < dark_ink


def brightness(browser: Page, style: str) -> int:
    """Return the sum of red, green and blue of the page's ground or letters, 0 to 765."""
    colour = browser.evaluate(f"getComputedStyle(document.body).{style}")
    return sum(int(part) for part in str(colour).removeprefix("rgb(").removesuffix(")").split(","))


def test_print_is_dark_on_white_even_where_the_screen_is_dark(browser: Page, path: Path) -> None:
    browser.open(path, width=760, dark=True, medium="print")
    assert (brightness(browser, "backgroundColor"), brightness(browser, "color")) == (765, 0)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 760


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
def test_letters_are_never_small(browser: Page, path: Path, width: int) -> None:
    browser.open(path, width=width, dark=False)
    smallest = browser.evaluate(
        "Math.min(...[...document.querySelectorAll('main *')].filter(e => e.textContent.trim() && "
        "e.getClientRects().length).map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 12


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
def test_the_chart_has_a_bar_for_each_run_inside_its_own_frame(browser: Page, path: Path, width: int) -> None:
    browser.open(path, width=width, dark=False)
    frame = browser.evaluate("(r => [r.left, r.right])(document.querySelector('.chart').getBoundingClientRect())")
    bars = browser.evaluate(
        "[...document.querySelectorAll('.chart g')].map(g => [...g.querySelectorAll('rect:not(.reported)')].map(e => "
        "(r => [r.left, r.right, r.height])(e.getBoundingClientRect())))"
    )
    assert len(bars) == 30
    assert sum(not parts for parts in bars) == 1, "the run without an end has no bar"
    lefts = [parts[0][0] for parts in bars if parts]
    assert lefts == sorted(lefts)
    for left, right, height in itertools.chain(*bars):
        assert frame[0] - 1 <= left < right <= frame[1] + 1
        assert height >= 1.9


def test_no_script_can_run_in_the_page(browser: Page, path: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.html"
    text = path.read_text(encoding="utf-8").replace("</main>", "<script>document.title = 'ran'</script></main>")
    planted.write_text(text, encoding="utf-8")
    browser.open(planted, width=DESK, dark=False)
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("document.title") != "ran"


@pytest.mark.parametrize(("width", "dark"), VIEWS)
def test_first_page_of_the_folder_fits_the_window(browser: Page, tmp_path: Path, width: int, dark: bool) -> None:
    browser.open(write_index(nights(), tmp_path), width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    outside = browser.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.getClientRects().length && !e.closest('.scroll') && "
        f"e.getBoundingClientRect().right > {width}).map(e => e.tagName + '.' + e.className).slice(0, 5)"
    )
    assert outside == [], "only the table of runs is wider, in a frame that scrolls by itself"
    assert len(browser.evaluate("[...document.querySelectorAll('.chart g')].map(g => g.tagName)")) == 90


@pytest.mark.parametrize("width", [DESK, TELEPHONE])
def test_first_page_of_a_new_table_keeps_its_words_and_dates_apart(browser: Page, tmp_path: Path, width: int) -> None:
    few = [past_run(0, started_at=BEGAN - timedelta(days=days)) for days in (0, 11)]
    browser.open(write_index(replace(nights(), runs=few), tmp_path), width=width, dark=False)
    ends, begins = (
        browser.evaluate(f"document.querySelectorAll('.chart .axis')[{place}].getBoundingClientRect().{side}")
        for place, side in ((1, "right"), (2, "left"))
    )
    assert ends + 4 <= begins
    lines_of_a_time = (
        "(() => { const text = document.createRange(); "
        "text.selectNodeContents(document.querySelector('.scroll tbody th')); return text.getClientRects().length })()"
    )
    assert browser.evaluate(lines_of_a_time) == 1


def test_chart_of_one_day_has_one_date(browser: Page, tmp_path: Path) -> None:
    day = [past_run(0, started_at=BEGAN - timedelta(hours=hours)) for hours in (0, 1)]
    browser.open(write_index(replace(nights(), runs=day), tmp_path), width=TELEPHONE, dark=False)
    assert browser.evaluate("document.querySelectorAll('.chart .axis').length") == 2
