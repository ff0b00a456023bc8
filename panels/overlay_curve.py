# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss curve in the corner of the 3D View, on a logarithmic scale."""

from __future__ import annotations

import math
from typing import Any

import blf
import gpu
from gpu_extras.batch import batch_for_shader

_WIDTH, _HEIGHT, _PAD = 260.0, 84.0, 10.0
_FONT = 0
_PAPER, _LINE, _TEXT = (0.08, 0.08, 0.08, 0.75), (0.36, 0.62, 1.0, 1.0), (0.9, 0.9, 0.9, 1.0)


def draw_curve(state: Any, right: float, bottom: float, scale: float) -> float:
    """Draw it with the lower right corner there, in pixels; returns where it ends above."""
    width, height, pad = _WIDTH * scale, _HEIGHT * scale, _PAD * scale
    left, top = right - width, bottom + height
    gpu.state.blend_set("ALPHA")
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    paper = batch_for_shader(shader, "TRI_FAN", {"pos": [(left, bottom), (right, bottom), (right, top), (left, top)]})
    shader.uniform_float("color", _PAPER)
    paper.draw(shader)

    text_height = 11.0 * scale
    points = curve_points([(p.iteration, p.loss) for p in state.curve], state.factor)
    room_x, room_y = width - 2 * pad, height - 3 * pad - text_height
    places = [(left + pad + x * room_x, bottom + pad + y * room_y, 0.0) for x, y in points]
    if len(places) > 1:
        line = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        batch = batch_for_shader(line, "LINE_STRIP", {"pos": places})
        line.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
        line.uniform_float("lineWidth", 1.5 * scale)
        line.uniform_float("color", _LINE)
        batch.draw(line)
    gpu.state.blend_set("NONE")

    blf.size(_FONT, text_height)
    blf.color(_FONT, *_TEXT)
    loss = f"loss {state.loss:.2g}"
    blf.position(_FONT, left + pad, top - pad - text_height, 0.0)
    blf.draw(_FONT, state.text)
    blf.position(_FONT, right - pad - blf.dimensions(_FONT, loss)[0], top - pad - text_height, 0.0)
    blf.draw(_FONT, loss)
    return top


def curve_points(losses: list[tuple[int, float]], done: float) -> list[tuple[float, float]]:
    """Places in the unit square of (iteration, loss): logarithm of the loss, smoothed; the width is the whole fit."""
    known = [(step, math.log(loss)) for step, loss in losses if loss > 0 and math.isfinite(loss)]
    if len(known) < 2:
        return []
    smooth, mean = [], known[0][1]
    for step, value in known:
        mean += 0.35 * (value - mean)
        smooth.append((step, mean))
    low, high = min(value for _, value in smooth), max(value for _, value in smooth)
    first, last = smooth[0][0], smooth[-1][0]
    start = first / last * done  # a fit that goes on begins in the middle
    across = (done - start) / max(last - first, 1)
    return [(start + (step - first) * across, (value - low) / max(high - low, 1e-9)) for step, value in smooth]
