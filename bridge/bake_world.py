# SPDX-License-Identifier: GPL-3.0-or-later
"""Worlds of nodes that the engine does not know (sky, gradients, mixed images), rendered by Cycles as a panorama."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import bpy
import numpy as np

from . import versions
from .read_image import raw_pixels

_WIDTH = 512
_SAMPLES = 16  # a sun disc covers half a pixel


def bake_world(world: bpy.types.World) -> np.ndarray:
    """Radiance of a world [H, W, 3], equirectangular in Blender's convention for environment textures.

    A scene of its own is rendered and removed again. Raises RuntimeError where Blender cannot render now, e.g. while
    it is rendering.
    """
    scene = bpy.data.scenes.new("Likeness world")
    data = bpy.data.cameras.new("Likeness world")
    camera = bpy.data.objects.new("Likeness world", data)
    try:
        scene.collection.objects.link(camera)
        scene.world, scene.camera = world, camera
        data.type = "PANO"
        data.panorama_type = "EQUIRECTANGULAR"
        # the image centre is +X, as in environment textures
        camera.rotation_euler = (math.pi / 2, 0, -math.pi / 2)
        render, cycles = scene.render, scene.cycles
        render.engine, cycles.device = "CYCLES", "CPU"
        render.resolution_x, render.resolution_y, render.resolution_percentage = _WIDTH, _WIDTH // 2, 100
        cycles.samples, cycles.pixel_filter_type = _SAMPLES, "BOX"
        cycles.use_denoising = cycles.use_adaptive_sampling = False
        versions.write_float_exr(render.image_settings)
        with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
            path = Path(folder) / "world.exr"
            render.filepath, render.use_file_extension = str(path), False
            bpy.ops.render.render(write_still=True, scene=scene.name)
            image = bpy.data.images.load(str(path))
            image.colorspace_settings.name = "Non-Color"
            pixels = raw_pixels(image)[..., :3].copy()
            bpy.data.images.remove(image)
        return pixels
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)
        bpy.data.scenes.remove(scene)
