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

_WIDTH = 1024
_SAMPLES = 8
# A sun fills a part of a pixel or two. Where a pixel outshines the mean by so much, those around are rendered again.
_GLARE = 50.0
_GLARE_SAMPLES = 512
_MARGIN = 3  # pixels around
_LARGEST = 0.02  # share of the picture that may be rendered again


def bake_world(world: bpy.types.World) -> np.ndarray:
    """Radiance of a world [H, W, 3], equirectangular in Blender's convention for environment textures.

    A scene of its own is rendered and removed again. Each pixel is the mean over it, the sun's disc too.
    Raises RuntimeError where Blender cannot render now, e.g. while it is rendering.
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
        cycles.pixel_filter_type = "BOX"
        cycles.use_denoising = cycles.use_adaptive_sampling = False
        versions.write_float_exr(render.image_settings)
        pixels = _render(scene, _SAMPLES)
        glare = _glare(pixels)
        if glare is not None:
            rows, columns = glare
            height, width = pixels.shape[:2]
            render.use_border, render.use_crop_to_border = True, False
            render.border_min_x, render.border_max_x = columns.start / width, columns.stop / width
            render.border_min_y, render.border_max_y = rows.start / height, rows.stop / height
            pixels[rows, columns] = _render(scene, _GLARE_SAMPLES)[rows, columns]
        return pixels
    finally:
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(data)
        bpy.data.scenes.remove(scene)


def _render(scene: bpy.types.Scene, samples: int) -> np.ndarray:
    """The scene's picture [H, W, 3], row 0 at the bottom."""
    scene.cycles.samples = samples
    with tempfile.TemporaryDirectory(prefix="likeness-") as folder:
        path = Path(folder) / "world.exr"
        scene.render.filepath, scene.render.use_file_extension = str(path), False
        bpy.ops.render.render(write_still=True, scene=scene.name)
        image = bpy.data.images.load(str(path))
        image.colorspace_settings.name = "Non-Color"
        pixels = raw_pixels(image)[..., :3].copy()
        bpy.data.images.remove(image)
    return pixels


def _glare(pixels: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns around what outshines the picture; None where nothing does, or too much of it."""
    brightness = pixels.max(-1)
    rows, columns = np.nonzero(brightness > _GLARE * max(float(brightness.mean()), 1e-12))
    if len(rows) == 0:
        return None
    around = [slice(max(int(x.min()) - _MARGIN, 0), int(x.max()) + 1 + _MARGIN) for x in (rows, columns)]
    around = [slice(x.start, min(x.stop, size)) for x, size in zip(around, pixels.shape, strict=False)]
    area = (around[0].stop - around[0].start) * (around[1].stop - around[1].start)
    return (around[0], around[1]) if area <= _LARGEST * brightness.size else None
