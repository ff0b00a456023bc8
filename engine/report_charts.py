# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of the report as inline SVG; colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import groupby

import numpy as np

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 30, 36
_POINTS = 480  # more than the eye tells apart
_LABEL_WIDTH = 7.5  # of one letter

Scale = Callable[[float], float]
Point = tuple[int, str, float]  # iteration, stage, loss


def loss_chart(history: list[Point]) -> str:
    """The loss over iterations on a logarithmic scale, one band for each stage. Empty without a finite loss."""
    points = [(i, stage, loss) for i, stage, loss in history if np.isfinite(loss) and loss > 0]
    if not points:
        return ""
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)
    losses = np.log10([loss for _, _, loss in points])
    low, high = losses.min(), losses.max()
    margin = max(0.06 * (high - low), 0.02)
    low, high = low - margin, high + margin

    def x(iteration: float) -> float:
        return _LEFT + (iteration - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(logarithm: float) -> float:
        return _TOP + (high - logarithm) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [*_bands(points, x, last), *_value_lines(low, high, y), *_iteration_ticks(first, last, x)]
    for _, group in groupby(zip(points, losses, strict=True), key=lambda pair: pair[0][1]):
        members = list(group)
        iterations = np.array([point[0] for point, _ in members], float)
        values = np.array([value for _, value in members])
        parts.append(_line("raw", *_thinned(iterations, values), x, y))
        parts.append(_line("smooth", *_thinned(iterations, _smoothed(values)), x, y))
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Loss over iterations, '
        f'from {points[0][2]:.3g} to {points[-1][2]:.3g}">{"".join(parts)}</svg>'
    )


def _bands(points: list[Point], x: Scale, last: int) -> list[str]:
    stages = [(stage, [point[0] for point in group]) for stage, group in groupby(points, key=lambda point: point[1])]
    starts = [x(members[0]) for _, members in stages] + [x(last)]
    parts = []
    for index, (stage, _) in enumerate(stages):
        left, width = starts[index], max(starts[index + 1] - starts[index], 0.0)
        name = escape(stage)
        parts.append(
            f'<rect class="band{index % 2}" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"><title>{name}</title></rect>'
        )
        if width > len(stage) * _LABEL_WIDTH:
            parts.append(f'<text class="stage" x="{left + width / 2:.1f}" y="{_TOP - 10}">{name}</text>')
    return parts


def _value_lines(low: float, high: float, y: Scale) -> list[str]:
    decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    values = [step * 10.0**decade for decade in decades for step in steps]
    shown = [value for value in values if low <= np.log10(value) <= high]
    if len(shown) < 2:
        shown = [10 ** (low + (high - low) * part) for part in (0.1, 0.5, 0.9)]
    return [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(np.log10(value)):.1f}" '
        f'y2="{y(np.log10(value)):.1f}"/>'
        f'<text class="value" x="{_LEFT - 8}" y="{y(np.log10(value)) + 4:.1f}">{value:.3g}</text>'
        for value in shown
    ]


def _iteration_ticks(first: int, last: int, x: Scale) -> list[str]:
    rough = (last - first) / 8
    decade = 10.0 ** np.floor(np.log10(max(rough, 1)))
    step = int(max(next(m * decade for m in (1, 2, 5, 10) if m * decade >= rough), 1))
    ticks = range(-(-first // step) * step, last + 1, step)
    parts = [f'<text class="tick" x="{x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}">{tick}</text>' for tick in ticks]
    return [*parts, f'<text class="axis" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 3}">iteration</text>']


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running median: the loss jumps from photo to photo, its level does not."""
    reach = len(values) // 16
    padded = np.pad(values, reach, mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=-1)


def _thinned(iterations: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keep = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).astype(int))
    return iterations[keep], values[keep]


def _line(kind: str, iterations: np.ndarray, values: np.ndarray, x: Scale, y: Scale) -> str:
    points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in zip(iterations, values, strict=True))
    return f'<polyline class="{kind}" points="{points}"/>'
