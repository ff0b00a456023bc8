# SPDX-License-Identifier: GPL-3.0-or-later
"""Mip maps: how many levels there are, building them, pulling gradients back to level 0."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from .arrays import group, view
from .checks import check_tensor
from .launch import launch
from .mip_kernels import HALVE, PULL_BACK


@dataclass
class MipStack:
    """Levels 1, 2, … of a texture as made by :func:`texture_construct_mip`. It may serve as long as the texture keeps
    its values."""

    data: torch.Tensor  # all levels, one after the other, flat
    shape: torch.Size  # of the texture
    last: int  # number of the smallest level


def last_level(height: int, width: int, max_mip_level: int | None) -> int:
    """Number of the smallest level; ValueError if an odd side would have to be halved on the way."""
    if max_mip_level is not None and (not isinstance(max_mip_level, int) or max_mip_level < 0):
        raise ValueError(f"max_mip_level must be an integer from 0 on, or None, not {max_mip_level!r}")
    level = 0
    h, w = height, width
    while (h > 1 or w > 1) and (max_mip_level is None or level < max_mip_level):
        if (h > 1 and h % 2) or (w > 1 and w % 2):
            raise ValueError(
                f"tex of {height} x {width} texels has {h} x {w} at level {level}, which cannot be halved: "
                f"use powers of two, or max_mip_level={level}"
            )
        h, w, level = max(h // 2, 1), max(w // 2, 1), level + 1
    return level


def level_shape(shape: torch.Size, level: int) -> tuple[int, ...]:
    """Shape of a level of a texture of shape [..., H, W, C]."""
    *images, height, width, channels = shape
    return (*images, max(height >> level, 1), max(width >> level, 1), channels)


def level_offsets(shape: torch.Size, last: int) -> list[int]:
    """Where each level begins in texels: 0 for level 0, which is an array of its own, then within the flat levels.
    One more entry: the total."""
    offsets = [0, 0]
    for level in range(1, last + 1):
        size = 1
        for side in level_shape(shape, level)[:-1]:
            size *= side
        offsets.append(offsets[-1] + size)
    return offsets


def build(tex: torch.Tensor, last: int) -> torch.Tensor:
    """Flat levels 1 … last of a contiguous texture, without gradient."""
    offsets, channels = level_offsets(tex.shape, last), tex.shape[-1]
    data = torch.empty(offsets[-1] * channels, device=tex.device)
    _each_level(HALVE, tex.detach(), data, list(range(last)))
    return data


def pull_back(grad_tex: torch.Tensor, grad_data: torch.Tensor, last: int) -> None:
    """Add the gradients of levels 1 … last to the one of level 0; those of the levels change on the way."""
    _each_level(PULL_BACK, grad_tex, grad_data, list(reversed(range(last))))


def _each_level(kernels: dict[Any, Any], tex: torch.Tensor, data: torch.Tensor, levels: list[int]) -> None:
    offsets, channels = level_offsets(tex.shape, max(levels, default=0) + 1), tex.shape[-1]
    dtype, groups = group(channels)
    everything = [tex, *(data[a * channels : b * channels] for a, b in pairwise(offsets[1:]))]
    for level in levels:
        fine, coarse = view(everything[level], dtype), view(everything[level + 1], dtype)
        height, width = level_shape(tex.shape, level)[-3:-1]
        arrays = [fine, coarse] if kernels is HALVE else [coarse, fine]
        items = everything[level + 1].numel() // channels * groups
        launch(kernels[dtype], items, [*arrays, width, height, groups], str(tex.device))


def check_texture(tex: object, cube: bool, device: torch.device | None = None) -> torch.Tensor:
    """``tex`` as a contiguous float32 texture: [N, H, W, C], or [N, 6, S, S, C] for a cube map."""
    tensor = check_tensor("tex", tex, (None, 6, None, None, None) if cube else (None, None, None, None), device=device)
    if tensor.numel() == 0:
        raise ValueError(f"tex must not be empty, but has the shape {list(tensor.shape)}")
    if cube and tensor.shape[2] != tensor.shape[3]:
        raise ValueError(f"tex has faces of {tensor.shape[2]} x {tensor.shape[3]} texels; a cube map needs square ones")
    return tensor


def texture_construct_mip(tex: torch.Tensor, max_mip_level: int | None = None, cube_mode: bool = False) -> MipStack:
    """Mip levels of a texture that stays constant, for the argument ``mip`` of :func:`texture`, so that not every call
    builds them anew. ``tex``: [N, H, W, C], or [N, 6, S, S, C] with ``cube_mode``; each level is the mean of 2 x 2
    texels of the one before. Gradients of a lookup still reach ``tex``.
    """
    tex = check_texture(tex, cube_mode)
    last = last_level(tex.shape[-3], tex.shape[-2], max_mip_level)
    return MipStack(build(tex, last), tex.shape, last)
