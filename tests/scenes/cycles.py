# SPDX-License-Identifier: GPL-3.0-or-later
"""Render by Cycles with settings that make the image a reference: nothing that trades truth for speed."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np


def reference_settings(
    scene: bpy.types.Scene, width: int, height: int, samples: int, direct_only: bool, seed: int = 0
) -> None:
    """Switch off whatever biases the image (denoiser, adaptive sampling, clamps, Filter Glossy, dither).

    ``direct_only``: lights and world reach the camera over one surface at most. Otherwise Blender's default bounces.
    The pixel filter is left alone.
    """
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    cycles.device = "CPU"
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.use_border = render.use_motion_blur = render.use_compositing = render.use_sequencer = False
    render.use_simplify = False
    render.dither_intensity = 0.0
    cycles.samples, cycles.seed = samples, seed
    cycles.use_denoising = cycles.use_adaptive_sampling = False
    cycles.sample_clamp_direct = cycles.sample_clamp_indirect = 0.0
    cycles.blur_glossy = 0.0
    cycles.light_sampling_threshold = 0.0
    cycles.caustics_reflective = cycles.caustics_refractive = True
    total, diffuse, glossy = (0, 0, 0) if direct_only else (12, 4, 4)
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = total, diffuse, glossy
    cycles.transmission_bounces = 12


def render_cycles(
    scene: bpy.types.Scene,
    camera: bpy.types.Object,
    path: Path,
    *,
    width: int,
    height: int,
    samples: int,
    direct_only: bool,
    seed: int = 0,
) -> np.ndarray:
    """Render ``camera`` into the EXR file ``path``; returns scene-linear premultiplied RGBA [H, W, 4], row 0 at the
    bottom, float32."""
    reference_settings(scene, width, height, samples, direct_only, seed)
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5.0 on
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    settings.exr_codec = "ZIP"
    _write(scene, camera, path)
    return load_pixels(path)


def render_photo(scene: bpy.types.Scene, camera: bpy.types.Object, path: Path) -> None:
    """Render an 8-bit PNG through the scene's view settings, with the sampling settings the scene has now."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    settings.compression = 50
    _write(scene, camera, path)


def load_pixels(path: Path) -> np.ndarray:
    """The stored values of an image file [H, W, 4] float32, row 0 at the bottom, without colour conversion."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)


def _write(scene: bpy.types.Scene, camera: bpy.types.Object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene.camera = camera
    scene.render.filepath = str(path)
    scene.render.use_file_extension = False
    bpy.ops.render.render(write_still=True, scene=scene.name)
