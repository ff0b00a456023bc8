# SPDX-License-Identifier: GPL-3.0-or-later
"""What a feature costs an iteration of the fit: the scene of `iteration` at 256², plain and with one feature each,
in the same run. An iteration is a step (textures, shading, loss, backward) and its share of gathering the samples of
its view, which serve four steps."""

from __future__ import annotations

import sys
from collections.abc import Callable

import bpy
import numpy as np
import torch

from likeness.engine.color import ViewTransform
from likeness.engine.fit import COUNTS, FitRun
from likeness.engine.losses import photo_loss
from likeness.engine.photo_views import ViewCache
from likeness.engine.result import MATERIAL_TARGETS, FitSettings, Target
from likeness.engine.scene import Photo
from likeness.engine.shading.gather import SampleCounts
from tests.scenes import build, still_life

from .figures import Figure, at_most, note, show
from .iteration import Stopwatch, scene_of_80k_triangles

SIZE, TEXTURE, REPEATS = 256, 512, 7
VISITS = 4  # steps that a view's samples serve
ALL_OFF, ONE_BOUNCE = 1.5, 3.0  # times the plain iteration


def _socket(name: str, value: float) -> Callable[[], None]:
    def change() -> None:
        tree = bpy.data.materials[still_life.GLAZE].node_tree
        tree.nodes["Principled BSDF"].inputs[name].default_value = value

    return change


def _world_of_one_colour() -> None:
    build.set_world(bpy.context.scene, (0.5, 0.5, 0.5))


SCENES: dict[str, Callable[[], None]] = {
    "coat": _socket("Coat Weight", 0.5),
    "sheen": _socket("Sheen Weight", 0.5),
    "anisotropy": _socket("Anisotropic", 0.5),
    "world of one colour": _world_of_one_colour,
}


class Timed:
    """One iteration of a scene, timed with given counts of samples."""

    def __init__(self, name: str, change: Callable[[], None] | None, counts: SampleCounts) -> None:
        self.name = name
        scene = scene_of_80k_triangles(change)
        scene.photos = [
            Photo(scene.photos[0].camera, "", name="Grey", pixels=np.full((SIZE, SIZE, 3), 0.4, np.float32),
                  full_size=(SIZE, SIZE))
        ]  # fmt: skip
        targets = [Target(kind, still_life.GLAZE) for kind in MATERIAL_TARGETS if kind != "emission"]
        settings = FitSettings(targets, resolution=SIZE, texture_size=TEXTURE, device="cpu")
        self.run = FitRun(scene, settings, None, ViewTransform(scene.view, "cpu"))
        self.run.parameters.enlarge(TEXTURE, {})
        self.run.cache = ViewCache(self.run.renderer, self.run.photos, counts)
        self.watch = Stopwatch()

    def once(self, seed: int) -> None:
        """Gather and step once."""
        run = self.run
        with self.watch.part("gather"):
            run.cache.clear()
            cached = run.cache.get(0, 0, (0.1, -0.2), _world(run, seed), seed)
        with self.watch.part("step"):
            level = run.photos[0].level(0)
            loss = photo_loss(run._predicted(cached, 0), run.wanted(level, 0), level.weight)
            torch.autograd.grad(loss, [bundle.data for bundle in run.parameters.bundles])

    @property
    def milliseconds(self) -> float:
        """Processor time, which other work on the machine does not change."""
        gather, step = (float(np.median(self.watch.processor[part][1:])) for part in ("gather", "step"))
        return step + gather / VISITS


def _world(run: FitRun, seed: int) -> object:
    if hasattr(run, "world"):
        return run.world(seed, environment_fixed=True)
    return run.renderer.world(environment_fixed=True)


def measure(names: list[str] | None = None) -> list[Figure]:
    """Ratios to the plain iteration."""
    plain = SampleCounts(4, 4, 8, 0)
    timed = [Timed("plain", None, plain), Timed("one bounce", None, SampleCounts(4, 4, 8, 1))]
    timed.append(Timed("as in a fit", None, COUNTS))
    timed += [Timed(name, change, plain) for name, change in SCENES.items() if not names or name in names]
    for repeat in range(REPEATS + 1):  # in turns, so that what the machine does meanwhile is shared
        for one in timed:
            one.once(repeat)
    base = timed[0].milliseconds
    figures: list[Figure] = [note("plain: processor time of an iteration", f"{base:.0f} ms")]
    limits = {"one bounce": ONE_BOUNCE, "as in a fit": ONE_BOUNCE}
    for one in timed[1:]:
        parts = ", ".join(f"{part} {np.median(one.watch.processor[part][1:]):.0f} ms" for part in ("gather", "step"))
        ratio = one.milliseconds / base
        figures.append(
            at_most(f"{one.name}: times the plain iteration ({parts})", ratio, limits.get(one.name, ALL_OFF), "x", 2)
        )
    return show(figures)


if __name__ == "__main__":
    measure(sys.argv[1:])
