# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the reference pictures in tests/data/forward: ``python -m tests.scenes.make_references [name …]``.

Every picture is the mean of two renders with different seeds; what they differ by tells how far it has converged.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bpy
import numpy as np

from .build import encode_srgb
from .catalogue import DIRECT, FULL, LAYERED, Case
from .catalogue_alpha import ALPHA, GLASS
from .catalogue_light import INTERREFLECTION, LIGHTS
from .catalogue_scene import TESTED
from .catalogue_surface import BENT, SURFACE
from .cycles import render_cycles

FOLDER = Path(__file__).resolve().parent.parent / "data" / "forward"
SIZE = 128
SMALL = 64


def size_of(case: Case, size: int) -> tuple[int, int]:
    """Width and height of the picture with ``size`` pixels along its longer side."""
    return (size, round(size / case.aspect)) if case.aspect > 1 else (round(size * case.aspect), size)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Decibels between two scene-linear pictures after the sRGB transfer function (view transform Standard)."""
    return float(-10.0 * np.log10(np.mean((encode_srgb(a) - encode_srgb(b)) ** 2) + 1e-12))


def render_reference(case: Case, direct_only: bool, size: int) -> tuple[np.ndarray, float]:
    """Converged picture [H, W, 3], scene-linear, row 0 at the bottom, and the expected noise left in it as PSNR."""
    width, height = size_of(case, size)
    halves = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in (0, 1):
            camera = case.build()
            halves.append(
                render_cycles(
                    bpy.context.scene,
                    camera,
                    Path(folder) / "half.exr",
                    width=width,
                    height=height,
                    samples=case.samples // 2,
                    direct_only=direct_only,
                    seed=seed,
                )[..., :3]
            )
    # the mean has half the noise amplitude of the difference
    return (halves[0] + halves[1]) / 2, psnr(*halves) + 20 * np.log10(2.0)


def load_reference(name: str) -> np.ndarray:
    """A stored picture as float32 [H, W, 3], scene-linear, row 0 at the bottom."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        return stored["rgb"].astype(np.float32)


def main(names: list[str]) -> None:
    """Render and store the named pictures, all by default."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    sets = (
        (DIRECT, True, SIZE), (LAYERED | ALPHA | SURFACE | BENT | TESTED, True, SMALL), (FULL, False, SIZE),
        (LIGHTS, True, SMALL), (INTERREFLECTION, False, SMALL), (GLASS, False, SMALL),
    )  # fmt: skip
    for cases, direct_only, size in sets:
        for name, case in cases.items():
            if names and name not in names:
                continue
            picture, noise = render_reference(case, direct_only, size)
            np.savez_compressed(FOLDER / f"{name}.npz", rgb=np.minimum(picture, 6e4).astype(np.float16))
            print(f"{name:26s} noise {noise:5.1f} dB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
