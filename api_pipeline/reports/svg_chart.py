"""The chart of the last runs: one inline SVG, drawn without script, readable at any width."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from api_pipeline.outbox.status import PastRun
from api_pipeline.reports.run_words import day
from api_pipeline.run_summary import LABELS

_TOP = 26
_BASE = 176
_HEIGHT = 222
_LEAST = 2.0
_SPARK = 24
# More signs than this would stand on each other; then only those that say more than "well" are drawn.
_MOST_SIGNS = 40
_SERIES = ("accepted", "unchanged", "refused", "undelivered", "not_tried")
# Both kinds of refusal are one colour here.
NAMES = {**{name: LABELS[name] for name in _SERIES}, "refused": "refused"}


def series_class(name: str) -> str:
    """Return the class that gives a series its colour."""
    return f"s-{name.replace('_', '-')}"


def legend(*signs: str) -> str:
    """Return the legend of the chart: the series by their colours, then what the signs under the bars mean."""
    series = "".join(f'<li class="{series_class(name)}">{label}</li>' for name, label in NAMES.items())
    words = "".join(f'<li class="word">{sign}</li>' for sign in signs)
    return f'<ul class="legend">{series}{words}</ul>'


def chart(runs: Sequence[PastRun], most: int, reported: str | None) -> str:
    """Return the SVG for `runs`, oldest first, with room for `most` of them; the run `reported` is marked.

    Places across are shares of the width and places down are pixels: letters keep their size on a telephone.
    """
    highest = max((_total(run) for run in runs), default=0)
    step = 100 / most
    bars = [_bar(run, step * (most - len(runs) + place), step, highest, reported) for place, run in enumerate(runs)]
    return "\n".join(
        [
            f'<svg class="chart" role="img" aria-labelledby="chart-title chart-text" width="100%" height="{_HEIGHT}">',
            f'<title id="chart-title">Records in the last {len(runs)} runs</title>',
            f'<desc id="chart-text">{escape(_words(runs, highest))}</desc>',
            f'<line class="grid" x1="0" x2="100%" y1="{_TOP}" y2="{_TOP}"/>',
            f'<line class="grid" x1="0" x2="100%" y1="{(_TOP + _BASE) / 2:g}" y2="{(_TOP + _BASE) / 2:g}"/>',
            f'<text class="axis" x="0" y="{_TOP - 8}">{highest:,} records</text>',
            *bars,
            f'<line class="base" x1="0" x2="100%" y1="{_BASE}" y2="{_BASE}"/>',
            *_dates(runs, step * (most - len(runs))),
            "</svg>",
        ]
    )


def _bar(run: PastRun, left: float, step: float, highest: int, reported: str | None) -> str:
    is_testing = run.mode == "testing"
    classes = "bar testing" if is_testing else "bar"
    parts = [f'<g class="{classes}"><title>{escape(_title(run))}</title>']
    if run.run_id == reported:
        parts.append(
            f'<rect class="reported" x="{left:.2f}%" y="{_TOP}" width="{step:.2f}%" height="{_BASE - _TOP + 22}"/>'
        )
    bottom = float(_BASE)
    for name in _SERIES:
        count = getattr(run, name) or 0
        if count:
            # A single refused record among thousands must still be seen.
            height = min(max(_LEAST, (_BASE - _TOP) * count / highest), bottom - _TOP + _LEAST * len(_SERIES))
            bottom -= height
            parts.append(
                f'<rect class="{series_class(name)}" x="{left + step * 0.14:.2f}%" y="{bottom:.1f}" '
                f'width="{step * 0.72:.2f}%" height="{height:.1f}"/>'
            )
    sign = _sign(run)
    if sign != _GOOD or step * _MOST_SIGNS >= 100:
        tone = "good" if sign == _GOOD else "bad"
        parts.append(f'<text class="sign {tone}" x="{left + step / 2:.2f}%" y="{_BASE + 16}">{sign}</text>')
    return "".join([*parts, "</g>"])


def sparkline(counts: Sequence[int]) -> str:
    """Return a small SVG of counts, oldest first; a text for who does not see it."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    step = 100 / len(counts)
    nights = sum(count > 0 for count in counts)
    words = f"in {nights} of {len(counts)} runs, at most {highest:,}; {counts[-1]:,} in the last"
    bars = "".join(
        f'<rect x="{step * place:.2f}%" y="{_SPARK - max(2, _SPARK * count / highest):.1f}" width="{step * 0.8:.2f}%" '
        f'height="{max(2, _SPARK * count / highest):.1f}"/>'
        for place, count in enumerate(counts)
        if count
    )
    return (
        f'<svg class="spark s-refused" role="img" aria-label="{escape(words)}" width="100%" height="{_SPARK}">'
        f'<line class="base" x1="0" x2="100%" y1="{_SPARK}" y2="{_SPARK}"/>{bars}</svg>'
    )


_GOOD, _BAD, _OPEN = "\u2713", "!", "?"


def _sign(run: PastRun) -> str:
    if run.exit_code is None:
        return _OPEN
    return _BAD if run.exit_code else _GOOD


def _dates(runs: Sequence[PastRun], left: float) -> list[str]:
    if not runs:
        return []
    first, last = day(runs[0].started_at), day(runs[-1].started_at)
    labels = [f'<text class="axis end" x="100%" y="{_HEIGHT - 8}">{last}</text>']
    if first != last:
        # Further to the right the two dates would overlap in a narrow window.
        x = min(left, 50.0)
        labels.insert(0, f'<text class="axis" x="{x:.2f}%" y="{_HEIGHT - 8}">{first}</text>')
    return labels


def _total(run: PastRun) -> int:
    return sum(getattr(run, name) or 0 for name in _SERIES)


def _title(run: PastRun) -> str:
    counts = ", ".join(f"{getattr(run, name) or 0:,} {NAMES[name]}" for name in _SERIES if getattr(run, name))
    mode = " (testing)" if run.mode == "testing" else ""
    return f"{run.started_at:%Y-%m-%d %H:%M}{mode}: {counts or 'nothing was due'}"


def _words(runs: Sequence[PastRun], highest: int) -> str:
    clean = sum(run.exit_code == 0 for run in runs)
    return (
        f"One bar for each run, oldest on the left. {clean} of {len(runs)} runs ended with exit code 0. "
        f"The largest had {highest:,} records. The table below holds the same figures."
    )
