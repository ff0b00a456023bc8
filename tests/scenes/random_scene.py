# SPDX-License-Identifier: GPL-3.0-or-later
"""A ball of a random Principled material under a random light."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render

from . import build
from .catalogue import daylight
from .cycles import render_cycles

SIZE = 40
LIGHTS = ("POINT", "SUN", "SPOT", "AREA", "COLOUR", "IMAGE")


def random_look(rng: np.random.Generator) -> dict[str, Any]:
    """Sockets of a material; each layer is there in one of three draws, metals and dielectrics in equal shares."""

    def colour(low: float, high: float = 1.0) -> tuple[float, ...]:
        return tuple(rng.uniform(low, high, 3))

    look: dict[str, Any] = {
        "base_color": colour(0.0),
        "roughness": rng.uniform(0.1, 1.0),
        "metallic": rng.choice([0.0, 1.0, rng.uniform()], p=[0.4, 0.4, 0.2]),
        "ior": rng.uniform(1.1, 2.5),
        "specular_level": rng.uniform(0.0, 1.0),
        "specular_tint": colour(0.3),
    }
    if rng.uniform() < 1 / 3:
        look |= {"coat_weight": rng.uniform(), "coat_roughness": rng.uniform(0.1, 0.8), "coat_ior": rng.uniform(1.1, 2)}
        look |= {"coat_tint": colour(0.4)}
    if rng.uniform() < 1 / 3:
        look |= {"sheen_weight": rng.uniform(), "sheen_roughness": rng.uniform(0.1, 1.0), "sheen_tint": colour(0.2)}
    if rng.uniform() < 1 / 3:
        look |= {"anisotropic": rng.uniform(0.1, 0.95), "anisotropic_rotation": rng.uniform()}
        look |= {"tangent": str(rng.choice(["UV", "X", "Y", "Z"]))}
    if rng.uniform() < 1 / 4 and "diffuse_roughness" in build._SOCKETS:
        look |= {"diffuse_roughness": rng.uniform()}
    if rng.uniform() < 1 / 6:
        look |= {"emission_color": colour(0.0), "emission_strength": rng.uniform(0.0, 0.5)}
    return {key: float(value) if isinstance(value, np.floating) else value for key, value in look.items()}


def random_light(rng: np.random.Generator) -> str:
    """A light or world; returns its kind."""
    kind = str(rng.choice(LIGHTS))
    height, turn = rng.uniform(0.3, 1.4), rng.uniform(-2.2, 0.6)  # mostly from the camera's side
    toward = np.array([np.cos(turn) * np.cos(height), np.sin(turn) * np.cos(height), np.sin(height)])
    place = tuple(map(float, rng.uniform(3.0, 5.0) * toward))
    colour = tuple(rng.uniform(0.3, 1.0, 3))
    if kind == "POINT":
        build.add_light(kind, place, energy=400.0, color=colour, shadow_soft_size=rng.uniform(0.0, 0.8))
    elif kind == "SUN":
        build.add_light(kind, place, energy=3.0, color=colour, angle=rng.uniform(0.0, 0.6))
    elif kind == "SPOT":
        spot = {
            "spot_size": rng.uniform(0.5, 1.5),
            "spot_blend": rng.uniform(),
            "shadow_soft_size": rng.uniform(0, 0.3),
        }
        build.add_light(kind, place, energy=900.0, color=colour, **spot)
    elif kind == "AREA":
        area = {"size": rng.uniform(0.3, 2.0), "size_y": rng.uniform(0.3, 2.0), "spread": rng.uniform(1.5, np.pi)}
        area["shape"] = str(rng.choice(["RECTANGLE", "ELLIPSE"]))
        build.add_light(kind, place, energy=250.0, color=colour, **area)
    elif kind == "COLOUR":
        build.set_world(bpy.context.scene, colour, strength=0.8)
    else:
        image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
        build.set_world(bpy.context.scene, strength=0.8, image=image, rotation=tuple(rng.uniform(-1.5, 1.5, 3)))
    return kind


@dataclass
class Draw:
    """Mean radiance [3] of a ball by Cycles and by the engine, and the noise of these means, relative."""

    kind: str  # of light
    look: dict[str, Any]
    expected: np.ndarray
    noise: float
    found: np.ndarray
    own_noise: float

    @property
    def error(self) -> float:
        """Largest difference of a channel, relative to the mean of all."""
        return float(np.abs(self.found - self.expected).max() / self.expected.mean())


def draw(seed: int, samples: int = 256) -> Draw:
    """Render a random ball with both, each twice with half of ``samples``, without indirect light."""
    rng = np.random.default_rng(seed)
    build.new_scene()
    look = random_look(rng)
    build.add_sphere("Ball", build.add_material("Ball", **look), 1.0, (0.0, 0.0, 0.0))
    kind = random_light(rng)
    camera = build.add_camera("Camera", (1.5, -4.0, 1.5), (0.0, 0.0, 0.0), lens=58.0)
    bpy.context.scene.render.film_transparent = True
    bpy.context.view_layer.update()
    scene = read_scene(bpy.context.scene)
    half = samples // 2
    own = [render(scene, camera.name, SIZE, SIZE, half, direct_only=True, seed=number) for number in (1, 2)]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"width": SIZE, "height": SIZE, "samples": half, "direct_only": True}
        cycles = [
            render_cycles(bpy.context.scene, camera, Path(folder) / "half.exr", seed=number, **settings)
            for number in (1, 2)
        ]
    return Draw(kind, look, *_mean(cycles), *_mean(own))


def _mean(halves: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Mean radiance [3] of two pictures and how much of it their difference leaves in doubt."""
    first, second = (half[..., :3].mean((0, 1), dtype=np.float64) for half in halves)
    mean = (first + second) / 2
    return mean, float(np.abs(first - second).max() / 2 / mean.mean())
