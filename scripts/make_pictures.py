"""Draw what some commands print, and what a report looks like, into docs/images/.

The texts are the program's own, from a run on its embedded database and receiver. The report is that of an invented
council, because it takes a month of nights to fill its chart.
"""

import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from api_pipeline.reports.report_file import write_report
from tests.support.browser import browser_page
from tests.support.commands import ROOT, run_cli, started_cli
from tests.support.reports import report
from tests.support.tls import authority, secured_server
from tests.support.world import live_settings

IMAGES = ROOT / "docs" / "images"
# The folder stands in what is printed, so it has one name every time.
FOLDER = Path(tempfile.gettempdir()) / "csc-api"
DATABASE = "d2i-csc-api-demo/demo.db"
COLUMNS, LETTER, LINE, EDGE, BAR = 118, 8.0, 18, 18, 34
STORY = re.compile(
    r"^(Demo|First|Second|Third|Fourth|The next day|The receiver)|^ +(rows|due|accepted|refused|Result)\b"
)
INSPECTED = "inspected"
REPORTS = {"report-desktop-light": (1280, False), "report-phone-dark": (390, True)}


def main(names: list[str]) -> None:
    with alone():
        for name in names:
            if name in REPORTS:
                picture_of_report(name)
            elif name == INSPECTED:
                picture_of_inspection()
            else:
                with surroundings(name) as settings:
                    picture_of_command(name, name, settings)


@contextmanager
def alone() -> Iterator[None]:
    """Make the folder, which is there for one at a time, and remove it."""
    FOLDER.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(FOLDER)


def picture_of_command(name: str, command: str, settings: dict[str, str], codes: tuple[int, ...] = (0, 1)) -> None:
    path = IMAGES / f"{name}.svg"
    path.write_text(
        drawing(f"d2i-csc-api {command}", printed(command, settings, codes)), encoding="utf-8", newline="\n"
    )
    print(path.relative_to(ROOT))


def printed(command: str, settings: dict[str, str], codes: tuple[int, ...] = (0, 1)) -> str:
    """Return what a command prints, of `demo` the lines that tell the story."""
    done = run_cli([command], settings, FOLDER)
    if done.code not in codes:
        raise SystemExit(f"{command} ended with {done.code}, and no picture was made:\n{done.text}")
    return shortened(done.text) if command == "demo" else done.text


def shortened(output: str) -> str:
    """Return the lines of the demo that tell its story: each night and run, what became of the rows, and the result."""
    told = [line for line in output.splitlines() if STORY.search(line) and not re.search(r" 0$", line)]
    return "\n".join(re.sub(r" \(exit code 0\)$", "", line) for line in told)


def picture_of_inspection() -> None:
    """Draw what the way to the receiver looks like where the certificate is one of an inspecting proxy's."""
    with secured_server(authority(FOLDER, "Zscaler Inc.").issue("localhost")) as server:
        here = server.origin.replace("127.0.0.1", "localhost")
        addresses = {"API_ENDPOINT": f"{here}/1", "TOKEN_ENDPOINT": f"{here}/token"}
        picture_of_command(INSPECTED, "test-endpoint", {**live_settings(server), **addresses}, (5,))


@contextmanager
def surroundings(name: str) -> Iterator[dict[str, str]]:
    """Yield the settings for a command; the database is the one that `demo` leaves."""
    if name == "demo":
        yield {}
        return
    if not (FOLDER / DATABASE).exists():
        run_cli(["demo", "--quiet"], {}, FOLDER)
    settings = {"DB_CONNECTION_STRING": f"sqlite:///{FOLDER / DATABASE}", "TABLE_NAME": "ssd_api_data_staging"}
    with started_cli(["simulate-api", "--port", "0"], {}, FOLDER) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        told = dict(receiver.stdout.readline().rstrip("\n").split("=", 1) for _ in range(7))
        yield {**settings, **told, "TESTING_MODE": "false"}


def drawing(command: str, output: str) -> str:
    """Return a terminal window with a text as an SVG, for light pages and dark ones alike."""
    lines = lines_of(command, output)
    width = EDGE * 2 + round(max(60, *map(len, lines)) * LETTER)
    height = BAR + EDGE * 2 + LINE * len(lines) - 6
    texts = [text_of(line, number) for number, line in enumerate(lines) if line.strip()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-labelledby="title">',
            f'<title id="title">What {escape(command)} prints</title>',
            f'<rect width="{width}" height="{height}" rx="8" fill="#16202a"/>',
            f'<path d="M0 8a8 8 0 0 1 8-8h{width - 16}a8 8 0 0 1 8 8v{BAR - 8}h-{width}z" fill="#26323d"/>',
            f'<text x="{width / 2:g}" y="22" fill="#a9b7c4" font-family="system-ui, sans-serif" font-size="13" '
            f'text-anchor="middle">{escape(command)}</text>',
            '<g font-family="ui-monospace, Cascadia Mono, Consolas, DejaVu Sans Mono, monospace" font-size="13" '
            'fill="#e8eef3">',
            *texts,
            "</g>\n</svg>\n",
        ]
    )


def lines_of(command: str, output: str) -> list[str]:
    """Return the lines as they are drawn."""
    lines = [f"$ {command}", *output.expandtabs(8).rstrip("\n").split("\n")]
    return [part for line in lines for part in wrapped(line)]


def wrapped(line: str) -> list[str]:
    """Return a long line in parts, the later ones under the last column of the first."""
    indent = " " * (line.rfind("  ", 0, COLUMNS // 2) + 2)
    return textwrap.wrap(line, COLUMNS, subsequent_indent=indent, break_on_hyphens=False) or [""]


def text_of(line: str, number: int) -> str:
    # Each line is given its length, so that columns stand whatever font the reader's machine has.
    start = len(line) - len(line.lstrip())
    # Spaces that may be merged would be.
    words = line.strip().replace(" ", "\N{NO-BREAK SPACE}")
    colour = ' fill="#6fd39b"' if number == 0 else ""
    return (
        f'<text x="{EDGE + start * LETTER:g}" y="{BAR + EDGE + 10 + LINE * number}" '
        f'textLength="{len(words) * LETTER:g}" lengthAdjust="spacing"{colour}>{escape(words)}</text>'
    )


def picture_of_report(name: str) -> None:
    width, dark = REPORTS[name]
    with browser_page(FOLDER / f"profile-{name}") as page:
        page.open(write_report(report(), FOLDER), width=width, dark=dark)
        (IMAGES / f"{name}.png").write_bytes(page.screenshot())
    print((IMAGES / f"{name}.png").relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:] or ["demo", "status", "smoke", INSPECTED, *REPORTS])
