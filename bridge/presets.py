# SPDX-License-Identifier: GPL-3.0-or-later
"""Sensible choices of what may change and how it is fitted, by what the artist wants."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ..engine.result import TARGETS
from . import target_rows


@dataclass(frozen=True)
class Preset:
    """A set of targets with settings that suit it."""

    name: str
    sentence: str
    targets: frozenset[str]
    resolution: int  # longest side of a photo in the fit, pixels
    texture_size: int  # texels
    use_cycles: bool = False  # Cycles looks at the fit now and then


PRESETS = {
    "PHOTO_TO_MATERIAL": Preset(
        "Photo to Material",
        "Paint the materials from the photos: base color, roughness and normal map. The light stays as it is",
        frozenset({"base_color", "roughness", "normal"}),
        512,
        1024,
    ),
    "MATCH_LIGHT": Preset(
        "Match Light",
        "Find the light in which the photos were taken: lights and environment. The materials stay as they are",
        frozenset({"lights", "world"}),
        256,  # light is smooth: small photos tell it as well, and sooner
        1024,
    ),
    "MATCH_CAMERA": Preset(
        "Match Camera",
        "Find where the photos were taken from, and the focal length. Start from a rough view; all else stays as it is",
        frozenset({"camera", "lens"}),
        512,
        1024,
    ),
    "EVERYTHING": Preset(
        "Everything",
        "Materials, light, exposure and white balance at once. Needs photos from several sides",
        frozenset({"base_color", "roughness", "metallic", "normal", "lights", "world", "exposure", "white_balance"}),
        512,
        1024,
    ),
    "BEST_QUALITY": Preset(
        "Best Quality",
        "Paint the materials from the photos at twice the resolution, and let Cycles itself check the fit now and "
        "then. Takes several times longer. The light stays as it is",
        frozenset({"base_color", "roughness", "normal"}),
        1024,
        1024,
        use_cycles=True,
    ),
}


def apply_preset(scene: bpy.types.Scene, name: str) -> str:
    """Set the scene's targets and settings; returns what the preset does, in one sentence."""
    preset = PRESETS[name]
    stored = scene.likeness
    if stored.targets.one_by_one:
        target_rows.refresh(scene)
    with target_rows.writing():
        for kind in TARGETS:
            setattr(stored.targets, kind, kind in preset.targets)
    stored.iterations = 0  # chosen from the number of photos and targets
    stored.resolution = preset.resolution
    stored.texture_size = preset.texture_size
    stored.use_cycles = preset.use_cycles
    return preset.sentence
