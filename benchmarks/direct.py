# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's pictures against converged ones of Cycles, light that reaches the camera over one surface: every scene
of the catalogues, 256 samples a pixel and kind of light. Points, suns and spots are wanted to 50 dB, scenes with
area lights, glowing meshes or a world to 45 dB, sRGB-encoded. ``python -m benchmarks.direct [name …]``"""

from __future__ import annotations

import sys
import time
from importlib import import_module

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.scene import Scene
from tests.scenes.catalogue import DIRECT, LAYERED, Case

from .figures import Figure, at_least, note, show
from .references import Compared, compare

SAMPLES = 256
SIZE, SMALL = 128, 96  # along the longer side; small where lights are large
EXACT, LARGE = 50.0, 45.0  # dB wanted
# module of tests.scenes, its dictionaries of scenes
CATALOGUES = {
    "catalogue_scene": ("SCENE",),
    "catalogue_surface": ("SURFACE", "BENT"),
    "catalogue_alpha": ("ALPHA",),
    "catalogue_light": ("LIGHTS",),
}


def cases() -> dict[str, Case]:
    """All scenes that are compared without indirect light, by name."""
    found = DIRECT | LAYERED
    for module, names in CATALOGUES.items():
        for name in names:
            found |= getattr(import_module(f"tests.scenes.{module}"), name)
    return found


def is_large(scene: Scene) -> bool:
    """Does light come from a large source: area light, world or the surface of a mesh?"""
    world = scene.world
    lit_by_world = world.strength * (1.0 if world.image is not None else float(np.max(world.color))) > 0
    return lit_by_world or any(light.kind == "AREA" for light in scene.lights) or not scene.lights


def measure_case(name: str, case: Case) -> tuple[Compared, float]:
    """Both pictures of a scene and the decibels wanted of it."""
    case.build()
    large = is_large(read_scene(bpy.context.scene))
    wanted = LARGE if large else EXACT
    return compare("direct", name, case, True, SMALL if large else SIZE, wanted, SAMPLES), wanted


def measure(names: list[str] | None = None) -> list[Figure]:
    """A figure a scene; ``names`` limits the scenes."""
    figures, noises = [], []
    for name, case in cases().items():
        if names and name not in names:
            continue
        start = time.perf_counter()
        pictures, wanted = measure_case(name, case)
        noises.append(pictures.noise - wanted)
        what = f"{name} (Cycles' own noise at {pictures.noise:.0f} dB)"
        figures += show([at_least(what, pictures.decibels, wanted, "dB")])
        print(f"       {time.perf_counter() - start:.1f} s", flush=True)
    figures += show([note("Cycles' noise below what is wanted", f"{min(noises):.1f} dB or more")])
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])
