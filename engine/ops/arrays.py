# SPDX-License-Identifier: GPL-3.0-or-later
"""torch tensors as Warp arrays, without copying."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp

# Channels are moved in groups: vectors load faster than single floats.
GROUP_TYPES: tuple[Any, ...] = (wp.float32, wp.vec2, wp.vec3, wp.vec4)


def group(channels: int) -> tuple[Any, int]:
    """The widest of GROUP_TYPES that divides the channels, and how many of it make a texel."""
    for width, dtype in ((4, wp.vec4), (3, wp.vec3), (2, wp.vec2)):
        if channels % width == 0:
            return dtype, channels // width
    return wp.float32, channels


def view(tensor: torch.Tensor, dtype: Any) -> Any:
    """A contiguous tensor as a flat Warp array of scalars or vectors."""
    width = wp.types.type_size(dtype)
    flat = tensor.detach().view(-1) if width == 1 else tensor.detach().view(-1, width)
    return wp.from_torch(flat, dtype=dtype)
