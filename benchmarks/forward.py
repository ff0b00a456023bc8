# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's pictures against those of Cycles, 256²: direct light in every scene of the catalogue, and all
light against full light transport. References are rendered once into .cache/benchmarks/forward."""

from __future__ import annotations

import sys
import time

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from tests.scenes.catalogue import DIRECT, FULL, Case
from tests.scenes.make_references import psnr, render_reference, size_of

from .figures import CACHE, Figure, at_least, note, show

SIZE = 256
LIGHT_SAMPLES = 64


def reference(name: str, case: Case, direct_only: bool) -> np.ndarray:
    """Cycles' picture [H, W, 3], scene-linear, from the cache or rendered now (up to a minute)."""
    path = CACHE / "forward" / f"{name}_{SIZE}_{case.samples}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        picture, noise = render_reference(case, direct_only, SIZE)
        np.savez_compressed(path, rgb=picture, noise=noise)
    with np.load(path) as stored:
        return stored["rgb"]


def measure(names: list[str] | None = None) -> list[Figure]:
    """A figure a scene; ``names`` limits the scenes."""
    figures = []
    for cases, direct_only in ((DIRECT, True), (FULL, False)):
        for name, case in cases.items():
            if names and name not in names:
                continue
            expected = reference(name, case, direct_only)
            camera = case.build()
            scene = read_scene(bpy.context.scene)
            width, height = size_of(case, SIZE)
            start = time.perf_counter()
            found = render(scene, camera.name, width, height, samples=LIGHT_SAMPLES, direct_only=direct_only)
            seconds = time.perf_counter() - start
            kind = "direct" if direct_only else "against full light transport"
            what = f"{name}, {kind} ({seconds:.1f} s)"
            figures += show([at_least(what, psnr(found[..., :3], expected), case.floor, "dB")])
            if not direct_only:
                direct = render(scene, camera.name, width, height, samples=LIGHT_SAMPLES, direct_only=True)
                figures += show(
                    [note(f"{name}, direct only against full", f"{psnr(direct[..., :3], expected):.1f} dB")]
                )
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])
