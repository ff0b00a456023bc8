# SPDX-License-Identifier: GPL-3.0-or-later
"""Small .blend files and photos for the tests of the command line, and what a command says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from PIL import Image

CAMERA = "Käm = 1"
OTHER_CAMERA = "Camera two"
QUICK = ("--iterations", "4", "--resolution", "48", "--texture-size", "32", "--device", "cpu")


@dataclass
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line on stderr."""
        assert len(self.err.splitlines()) == 1, self.err
        assert "Traceback" not in self.err
        assert "Internal error" not in self.err
        return self.err


Run = Callable[..., Outcome]


def build_scene(path: Path, change: Callable[[bpy.types.Scene], None] = lambda scene: None) -> Path:
    """Save Blender's start-up scene, rendered by Cycles at 96 x 54 and seen by two cameras, after ``change``."""
    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = 96, 54
    scene.camera.name = CAMERA
    other = scene.camera.copy()
    other.name = OTHER_CAMERA
    other.location.z += 2.0
    scene.collection.objects.link(other)
    change(scene)
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return path


def save_photo(path: Path, size: tuple[int, int] = (96, 54)) -> Path:
    """A picture with something in it: a radial gradient."""
    Image.radial_gradient("L").resize(size).convert("RGB").save(path)
    return path


def save_mask(path: Path, value: int, size: tuple[int, int] = (96, 54)) -> Path:
    """A mask of one value, 0 … 255."""
    Image.new("L", size, value).save(path)
    return path


def cube() -> bpy.types.Object:
    """The start-up scene's object."""
    return bpy.data.objects["Cube"]


def image_pixels(name: str) -> np.ndarray:
    """Stored pixels of an image of the open file."""
    image = bpy.data.images[name]
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels


def photo_of(folder: Path) -> str:
    """``CAMERA=FILE`` of the photo in a test's folder; both hold "=", a space and a letter beyond ASCII."""
    return f"{CAMERA}={folder / 'photo=1 ö.png'}"


def listing(folder: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def plug_noise(socket: str) -> None:
    """Put a node that Likeness cannot read before a socket of the start-up scene's material."""
    tree = bpy.data.materials["Material"].node_tree
    noise = tree.nodes.new("ShaderNodeTexNoise")
    tree.links.new(noise.outputs[0], tree.nodes["Principled BSDF"].inputs[socket])
