# SPDX-License-Identifier: GPL-3.0-or-later
"""Results to apply to Blender's start-up scene, and all that Blender would render of it as plain values to compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from likeness.engine.job import save_job, save_result
from likeness.engine.result import (
    FitResult,
    FitSettings,
    FittedImage,
    FittedLight,
    FittedWorld,
    PhotoResult,
    Target,
)
from likeness.engine.scene import Scene
from likeness.operators.run_state import run_state

SIDE = 8
STORED = {
    "base_color": (3, "sRGB", 8),
    "roughness": (1, "linear", 16),
    "metallic": (1, "linear", 16),
    "normal": (3, "linear", 16),
    "emission": (3, "linear", 32),
}


def full_result(seed: int = 1, material: str = "Material") -> FitResult:
    """Something for everything that a fit can change. Values differ with the seed."""
    random = np.random.default_rng(seed)
    images = [
        FittedImage(material, socket, random.random((SIDE, SIDE, channels)).astype(np.float32), encoding, bits)
        for socket, (channels, encoding, bits) in STORED.items()
    ]
    picture = np.zeros((2, 2, 3), np.float32)
    balance = np.array([1.0 + seed / 8, 1.0, 0.5], np.float32)
    return FitResult(
        images=images,
        lights=[FittedLight("Light", 100.0 + seed, np.array([1.0, 0.5, 0.25], np.float32))],
        world=FittedWorld(seed + 0.5, np.ones(3, np.float32), random.random((4, 8, 3)).astype(np.float32) * 4),
        exposure=seed / 4,
        photos=[PhotoResult("photo", "Camera", -seed / 4, balance, picture, picture, picture, None, 20.0, 30.0 + seed)],
        coverage={material: random.random((SIDE, SIDE)).astype(np.float32)},
        seconds={"polish": 12.5},
        iterations=40,
    )


def finished_fit(folder: Path, result: FitResult | None = None) -> FitResult:
    """A job folder as the worker leaves it, made the last fit of this session; returns its result."""
    result = result or full_result()
    settings = FitSettings([Target("base_color", "Material"), Target("lights", "Light")], iterations=40, resolution=64)
    save_job(folder, Scene(), settings)
    save_result(folder, result)
    state = run_state(bpy.context)
    state.folder, state.scene, state.has_result = str(folder), bpy.context.scene.name, True
    return result


@contextmanager
def in_window() -> Iterator[None]:
    """As if operators were called in Blender's window: they push undo steps."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, screen=window.screen):
        yield


def pixels(image: bpy.types.Image) -> bytes:
    """Stored pixels, as Blender has them in memory or reads them from the packed file."""
    values = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.tobytes()


def shown(names: bool = True) -> dict[str, Any]:
    """All that a result changes and a render depends on, found through what objects and scene use.

    ``names``: with the names of materials, worlds and images.
    """
    scene = bpy.context.scene
    slots = [slot.material for obj in scene.objects for slot in obj.material_slots if slot.material]
    return {
        "materials": [(material.name if names else "", _tree(material.node_tree, names)) for material in slots],
        "world": (scene.world.name if names else "", _tree(scene.world.node_tree, names)) if scene.world else None,
        "lights": [(o.data.energy, tuple(o.data.color)) for o in scene.objects if o.type == "LIGHT"],
        "exposure": scene.view_settings.exposure,
        "photos": [(item.name, item.exposure, tuple(item.white_balance)) for item in scene.likeness.photos],
    }


def _tree(tree: bpy.types.NodeTree | None, names: bool) -> Any:
    if tree is None:
        return None
    nodes = []
    for node in tree.nodes:
        values = [
            (socket.name, _plain(socket.default_value)) for socket in node.inputs if hasattr(socket, "default_value")
        ]
        image = getattr(node, "image", None)
        picture = (
            None if image is None else (image.name if names else "", image.colorspace_settings.name, pixels(image))
        )
        nodes.append((node.name, values, picture))
    links = sorted(
        (link.from_node.name, link.from_socket.name, link.to_node.name, link.to_socket.name) for link in tree.links
    )
    return nodes, links


def _plain(value: Any) -> Any:
    return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value


def everything() -> dict[str, Any]:
    """What is shown, and the names of all datablocks that an apply could make or remove, each with its users.

    They are looked up: after the copy of a node tree Blender 4.2 counts wrongly.
    """
    data = bpy.data
    kinds = (data.images, data.materials, data.worlds, data.lights, data.node_groups)
    users = data.user_map()
    snapshot = bpy.context.scene.likeness.snapshot
    return {
        "shown": shown(),
        "names": [sorted((block.name, block.use_fake_user, _names(users[block])) for block in kind) for kind in kinds],
        "kept": (snapshot.showing, len(snapshot.materials), len(snapshot.lights), len(snapshot.photos)),
    }


def _names(blocks: set[bpy.types.ID]) -> list[str]:
    return sorted(block.name for block in blocks)
