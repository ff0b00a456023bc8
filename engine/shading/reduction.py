# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures reduced to what indirect light needs of them."""

from __future__ import annotations

from functools import cache

import torch
import warp as wp

from ..color.srgb import srgb_decode
from ..ops.launch import launch

MAX_SIDE = 256
# Between nodes this close the decoding curve is straight to 3e-8; it costs a fifth of a power.
_CURVE_NODES = 4097


@cache
def curve(device: str) -> wp.array:
    """Linear values of evenly spaced sRGB-encoded ones from 0 to 1."""
    nodes = torch.linspace(0.0, 1.0, _CURVE_NODES, dtype=torch.float64)
    return wp.array(srgb_decode(nodes).numpy(), dtype=wp.float32, device=device)


@wp.func
def _decoded(curve: wp.array(dtype=wp.float32), x: float):
    """sRGB-encoded x as linear value, see srgb_decode."""
    result = x * (1.0 / 12.92)
    last = curve.shape[0] - 1
    if x >= 1.0:
        result = wp.pow((x + 0.055) / 1.055, 2.4)
    elif x > 0.0:
        place = x * float(last)
        node = wp.min(int(place), last - 1)
        result = wp.lerp(curve[node], curve[node + 1], place - float(node))
    return result


@wp.kernel(enable_backward=False)
def _reduce_kernel(
    start: int,
    slot: int,
    pixels: wp.array3d(dtype=wp.float32),
    factor: int,
    first: int,
    last: int,
    curve: wp.array(dtype=wp.float32),
    out: wp.array3d(dtype=wp.float32),
):
    i = start + wp.tid()
    row = i // out.shape[1]
    column = i - row * out.shape[1]
    bottom = wp.min((row + 1) * factor, pixels.shape[0])
    right = wp.min((column + 1) * factor, pixels.shape[1])
    scale = 1.0 / float((bottom - row * factor) * (right - column * factor))
    for c in range(out.shape[2]):
        total = float(0.0)
        if c >= first and c < last:
            for y in range(row * factor, bottom):
                for x in range(column * factor, right):
                    total += _decoded(curve, pixels[y, x, c])
        else:
            for y in range(row * factor, bottom):
                for x in range(column * factor, right):
                    total += pixels[y, x, c]
        out[row, column, c] = total * scale


def reduced(pixels: torch.Tensor, encoded: tuple[int, int]) -> torch.Tensor:
    """Means of squares of `pixels` [H, W, C] float32 that leave at most MAX_SIDE of them a side.

    The channels `encoded[0]` to `encoded[1]` - 1 are decoded from sRGB before.
    """
    pixels, device = pixels.detach().contiguous(), str(pixels.device)
    factor = max(1, -(-max(pixels.shape[:2]) // MAX_SIDE))
    height, width = (-(-side // factor) for side in pixels.shape[:2])
    out = torch.empty((height, width, pixels.shape[2]), device=pixels.device)
    inputs = [wp.from_torch(pixels), factor, *encoded, curve(device), wp.from_torch(out)]
    launch(_reduce_kernel, height * width, inputs, device)
    return out
