# SPDX-License-Identifier: GPL-3.0-or-later
"""The gradient of everything that can be fitted, through the whole way from scene to photo loss (textures, shading,
coat and sheen, filter, exposure, view transform, Huber), against finite differences of the engine's own picture with
the same light samples; sums in float64. Each kind of parameter is cut into four random groups that are judged one by
one, along the direction in which the gradient says that all of a group's entries raise the loss."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import bpy
import numpy as np
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine.color import ViewTransform
from likeness.engine.fit import FitRun
from likeness.engine.losses import HUBER
from likeness.engine.result import SCENE_TARGETS, TARGETS, FitSettings, Target
from likeness.engine.scene import Photo, Scene
from likeness.engine.targets import resolve_targets
from tests.scenes import build
from tests.scenes.catalogue import daylight, dress, normal_pixels, stage
from tests.scenes.catalogue_scene import blocks

from .figures import Figure, at_most, show

SIZE, TEXTURE = 64, 32
GROUPS = 4
SMOOTH = 1.0  # % wanted
# of a value as stored, of a logarithm, of a stop; errors of third order are taken out (Richardson)
STEP = 4e-3


def _lit(look: dict[str, Any]) -> bpy.types.Object:
    """A ball with images in all sockets, its shadow on a plane, a light of each kind and an environment."""
    camera = stage()
    maps = {
        "base_color": build.add_image("Colour", build.encode_srgb(blocks(1, 8, 8, 4, 0.2, 0.7)), "sRGB"),
        "roughness": build.add_image("Roughness", blocks(2, 8, 8, 4, 0.3, 0.8)[..., :1], "Non-Color"),
        "metallic": build.add_image("Metallic", blocks(3, 8, 8, 4, 0.2, 0.8)[..., :1], "Non-Color"),
        "emission_color": build.add_image("Emission", blocks(4, 8, 8, 4, 0.02, 0.1), "Non-Color"),
    }
    normal = build.add_image("Normal", normal_pixels(32, 3, 0.3), "Non-Color")
    dress("Plane", base_color=(0.5, 0.5, 0.5), metallic=0.2, emission_strength=0.05)  # not at the end of a range
    dress("Ball", maps=maps, normal=normal, emission_strength=1.0, **look)
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=150.0, shadow_soft_size=0.3)
    build.add_light("AREA", (-2.0, -2.0, 3.2), energy=80.0, shape="RECTANGLE", size=1.2, size_y=0.6)
    image = build.add_image("Sky", build.environment_pixels(daylight, 16), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.4, image=image)
    bpy.context.scene.view_settings.view_transform = "AgX"
    return camera


LOOKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "coat and sheen": {"coat_weight": 0.5, "coat_roughness": 0.3, "sheen_weight": 0.5},
    "anisotropic": {"anisotropic": 0.6},
    "rough": {"diffuse_roughness": 0.7},
}


def _loss(run: FitRun, cached: Any) -> torch.Tensor:
    """The photo loss of losses.py with its sum in float64."""
    level = run.photos[0].level(0)
    difference = torch.nn.functional.huber_loss(
        run._predicted(cached, 0).double(), run.wanted(level, 0).double(), reduction="none", delta=HUBER
    )
    return (difference.mean(-1) * level.weight).sum() / level.weight.sum()


def _parts(run: FitRun) -> dict[str, tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]]:
    """Kind of parameter -> its leaf, and the part of a tensor of the leaf's shape that belongs to it."""
    parts: dict[str, tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]] = {}
    for bundle in run.parameters.bundles:
        for kind, (first, last) in bundle.channels.items():
            name = f"{kind} of {bundle.material}"
            parts[name] = (bundle.data, lambda t, first=first, last=last: t[..., first:last])
    for name, tensor in run.parameters.scene_tensors().items():
        parts[name.replace("_", " ")] = (tensor, lambda t: t)
    return parts


def _worst(loss: Callable[[], float], leaf: torch.Tensor, part: Any, generator: torch.Generator) -> float:
    """Largest relative error of the gradient over the groups, in percent."""
    assert leaf.grad is not None
    gradient, start, worst = leaf.grad.double(), leaf.detach().clone(), 0.0
    label = torch.randint(GROUPS, gradient.shape, generator=generator)
    inside = torch.zeros(gradient.shape, dtype=torch.bool)
    part(inside)[...] = True
    for group in range(GROUPS):
        direction = gradient.sign() * (inside & (label == group))
        claimed = float((gradient * direction).sum())
        if claimed <= 0:  # too few entries for so many groups
            continue

        def slope(step: float, direction: torch.Tensor = direction) -> float:
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    leaf.copy_(start + sign * step * direction)
                values.append(loss())
            return (values[0] - values[1]) / (2 * step)

        found = (4 * slope(STEP) - slope(2 * STEP)) / 3
        worst = max(worst, 100 * abs(claimed - found) / abs(found))
    with torch.no_grad():
        leaf.copy_(start)
    return worst


def prepared(scene: Scene, camera: str, kinds: tuple[str, ...]) -> FitRun:
    """A fit of all kinds of parameters to a photo of one grey."""
    pixels = np.full((SIZE, SIZE, 3), 0.35, np.float32)
    scene.photos = [Photo(camera, "", name="Grey", pixels=pixels, full_size=(SIZE, SIZE))]
    targets, _ = resolve_targets(scene, [Target(kind) for kind in kinds])
    settings = FitSettings(targets, resolution=SIZE, texture_size=TEXTURE, device="cpu")
    run = FitRun(scene, settings, None, ViewTransform(scene.view, "cpu"))
    run.parameters.enlarge(TEXTURE, {})
    return run


def errors(look: dict[str, Any], kinds: tuple[str, ...] = TARGETS) -> dict[str, float]:
    """Percent by which gradient and finite differences differ, for each kind of parameter."""
    camera = _lit(look)
    run = prepared(read_scene(bpy.context.scene), camera.name, kinds)
    cached = run.cache.get(0, 0, (0.1, -0.2), run.renderer.world(environment_fixed=False), 1)
    _loss(run, cached).backward()
    generator = torch.Generator().manual_seed(0)

    def loss() -> float:
        with torch.no_grad():
            return float(_loss(run, cached))

    return {name: _worst(loss, leaf, part, generator) for name, (leaf, part) in _parts(run).items()}


def measure(names: list[str] | None = None) -> list[Figure]:
    """A figure a kind of parameter and material."""
    figures: list[Figure] = []
    whole = tuple(kind for kind in TARGETS if kind != "world_strength")
    for name, look in LOOKS.items():
        if names and name not in names:
            continue
        found = errors(look, whole)
        if name == "plain":  # world and its strength are alternatives
            scene_kinds = tuple(kind for kind in SCENE_TARGETS if kind != "world")
            found |= {key: value for key, value in errors(look, scene_kinds).items() if key == "strength log"}
        figures += show([at_most(f"{name}: {key}", value, SMOOTH, "%", 3) for key, value in found.items()])
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])
