# SPDX-License-Identifier: GPL-3.0-or-later
"""The view transforms against the 8-bit pictures that Blender itself saves, on random HDR colours."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine.color import ViewTransform
from tests.scenes import build, cycles

from .figures import Figure, show

SIZE = 512
VIEWS = ("AgX", "Filmic", "Standard")
STOPS = (-8.0, 4.0)  # each channel on its own: saturated colours as well


def blenders_picture(linear: np.ndarray) -> np.ndarray:
    """What Blender writes for scene-linear colours [H, W, 3] through the scene's view settings; 8 bit, in [0, 1]."""
    image = build.add_image("Colours", linear, "Linear Rec.709", is_float=True)
    scene = bpy.context.scene
    scene.render.dither_intensity = 0.0
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5.0 on
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "colours.png"
        image.save_render(str(path), scene=scene)
        return cycles.load_pixels(path)[..., :3]


def measure() -> list[Figure]:
    """Share of colours of which all channels are within 1/255."""
    random = np.random.default_rng(3)
    linear = np.exp2(random.uniform(*STOPS, (SIZE, SIZE, 3))).astype(np.float32)
    figures = []
    for view in VIEWS:
        build.new_scene(view)
        shown = blenders_picture(linear)
        transform = ViewTransform(read_scene(bpy.context.scene).view)
        found = transform(torch.from_numpy(linear)).numpy()
        share = float((np.abs(found - shown).max(-1) * 255 <= 1.0).mean() * 100)
        figures.append(Figure(f"{view}: colours within 1/255 of Blender", ">= 99.9 %", f"{share:.3f} %", share >= 99.9))
    return show(figures)


if __name__ == "__main__":
    measure()
