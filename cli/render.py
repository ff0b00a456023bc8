# SPDX-License-Identifier: GPL-3.0-or-later
"""``likeness render``: a picture by the renderer that the fit uses, to compare with Blender's own."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..engine.errors import EXIT_OK, SceneError
from ..engine.preflight import scene_warnings
from ..engine.scene import ViewSettings
from .console import Console
from .outputs import check_output
from .scene import load_scene, scene_path


def run(options: argparse.Namespace, console: Console) -> int:
    """The whole command; returns the exit code. Raises a LikenessError."""
    path = scene_path(options.scene)
    check_output(options.output, (".exr", ".png"), [path])

    from ..bridge.fit_settings import read_fit_settings
    from ..bridge.read_scene import read_scene
    from ..bridge.session import active_camera

    blender_scene = load_scene(path)
    camera = options.camera or active_camera(blender_scene)
    if camera is None:
        raise SceneError(f'Scene "{blender_scene.name}" has no active camera; name one as --camera NAME.')
    scene = read_scene(blender_scene, bake=read_fit_settings(blender_scene).texture_size)
    for message in scene_warnings(scene):
        console.warn(message)
    width, height = options.resolution or (scene.film.width, scene.film.height)

    from ..engine.images_io import write_exr
    from ..engine.render import render

    image = render(scene, camera, width, height, options.samples, options.direct_only, options.device, options.seed)
    if options.output.suffix.lower() == ".exr":
        write_exr(options.output, image)
    else:
        _write_display(options.output, image, scene.view)
    console.say(f"Wrote {options.output} ({width} x {height}).")
    return EXIT_OK


def _write_display(path: Path, image: np.ndarray, view: ViewSettings) -> None:
    """The picture as Blender saves it to an RGB file: premultiplied colour through the view settings."""
    import torch

    from ..engine.color import ViewTransform
    from ..engine.images_io import write_png

    write_png(path, ViewTransform(view)(torch.from_numpy(image[..., :3].copy())).numpy())
