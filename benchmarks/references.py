# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of the catalogues rendered by Cycles, kept in .cache/benchmarks, and by the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from likeness.engine.scene import Scene
from tests.scenes.build import encode_srgb
from tests.scenes.catalogue import Case
from tests.scenes.make_references import psnr, render_reference, size_of

from .figures import CACHE

CLEAR = 6.0  # dB by which the noise left in a reference must lie below what is wanted of the engine
MOST = 16384  # samples a pixel that a reference may take
BAKED = 1024  # texels along an edge of a baked texture


@dataclass
class Compared:
    """Two pictures [H, W, 3] of one scene, scene-linear, row 0 at the bottom."""

    expected: np.ndarray
    noise: float  # dB, what is left in `expected`
    found: np.ndarray
    scene: Scene

    @property
    def decibels(self) -> float:
        return psnr(self.found, self.expected)


def reference(folder: str, name: str, case: Case, direct_only: bool, size: int, wanted: float) -> tuple:
    """Cycles' picture [H, W, 3] and the noise left in it in dB, from the cache or rendered now: with as many samples
    as it takes for the noise to lie ``CLEAR`` below ``wanted``, or ``MOST``."""
    path = CACHE / folder / f"{name}_{size}.npz"
    if not path.exists():
        picture, noise = render_reference(case, direct_only, size)
        if noise < wanted + CLEAR and case.samples < MOST:
            factor = 10 ** ((wanted + CLEAR + 1.0 - noise) / 10)
            more = replace(case, samples=int(min(MOST, 2 * round(case.samples * factor / 2))))
            picture, noise = render_reference(more, direct_only, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, rgb=picture, noise=noise)
    with np.load(path) as stored:
        return stored["rgb"], float(stored["noise"])


def compare(
    folder: str, name: str, case: Case, direct_only: bool, size: int, wanted: float, samples: int, seed: int = 0
) -> Compared:
    """One scene rendered by both, the larger side ``size`` pixels long."""
    expected, noise = reference(folder, name, case, direct_only, size, wanted)
    camera = case.build()
    scene = read_scene(bpy.context.scene, bake=BAKED)
    width, height = size_of(case, size)
    found = render(scene, camera.name, width, height, samples=samples, direct_only=direct_only, seed=seed)
    return Compared(expected, noise, found[..., :3], scene)


def strip(pictures: Compared, factor: float = 8.0) -> np.ndarray:
    """Cycles | the engine | their difference around grey, ``factor`` times: display values [H, 3 W, 3] in [0, 1]."""
    expected, found = encode_srgb(pictures.expected), encode_srgb(pictures.found)
    return np.concatenate([expected, found, np.clip(0.5 + factor * (found - expected), 0.0, 1.0)], axis=1)
