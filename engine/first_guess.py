# SPDX-License-Identifier: GPL-3.0-or-later
"""A neutral start for unknown light: as bright as the photos need, before anything is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .shading.gather import SampleCounts

if TYPE_CHECKING:
    from .fit import FitRun

# Photos and their size are enough to tell the mean brightness.
PHOTOS, LEVEL = 6, 3
# Base colours shall have room above their start: a grey start is a mean, and parts are brighter.
HEADROOM = 1.25
STOPS = 12.0  # how far the start may be from the truth


@torch.no_grad()
def balance_light(run: FitRun) -> None:
    """Scale all lights and the world together so that the renders are on the mean as bright as the photos.

    Only where every light source is free: a light that stays fixed says how bright the scene is.
    """
    parameters, renderer = run.parameters, run.renderer
    if not parameters.light_is_free(run.scene):
        return
    world = renderer.world()
    count = len(run.photos)
    parts = []
    for index in range(0, count, max(1, count // PHOTOS)):
        cached = run.cache.gather(index, LEVEL, world, index, SampleCounts(2, 2, 2, 1))
        level = run.photos[index].level(LEVEL)
        parts.append((index, run.linear(cached, index), run.wanted(level, index), level.weight[..., None]))
    low, high = -STOPS, STOPS
    for _ in range(24):
        middle = 0.5 * (low + high)
        missing = sum(((wanted - run.show(linear * 2.0**middle, i)) * w).sum().item() for i, linear, wanted, w in parts)
        if missing > 0:
            low = middle
        else:
            high = middle
    parameters.scale_light(2.0**low * HEADROOM)
