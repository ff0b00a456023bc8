# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sidebar asks for -> :class:`engine.result.FitSettings`."""

from __future__ import annotations

from typing import Any

import bpy

from ..engine.result import MATERIAL_TARGETS, TARGETS, FitSettings, Target
from .photo_list import settings


def read_fit_settings(scene: bpy.types.Scene) -> FitSettings:
    """The targets and settings of the sidebar as a request to the engine."""
    stored = settings(scene)
    return FitSettings(
        targets=read_targets(stored.targets),
        iterations=stored.iterations,
        resolution=stored.resolution,
        texture_size=stored.texture_size,
        device=stored.device,
        seed=stored.seed,
        cycles=stored.use_cycles,
    )


def read_targets(chosen: Any) -> list[Target]:
    """What ``scene.likeness.targets`` lets change: its switches or, where things are chosen one by one, its rows."""
    targets = []
    for kind in TARGETS:
        if chosen.one_by_one and kind in (*MATERIAL_TARGETS, "lights"):
            for row in chosen.rows:
                # first the tick, which is cheap; no owner: deleted since the rows were made
                if getattr(row, kind) and (owner := row.light if kind == "lights" else row.material) is not None:
                    targets.append(Target(kind, owner.name_full))
        elif getattr(chosen, kind):
            only = chosen.light if kind == "lights" else chosen.material if kind in MATERIAL_TARGETS else None
            targets.append(Target(kind, only.name_full if only is not None else None))
    return targets
