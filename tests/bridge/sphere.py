# SPDX-License-Identifier: GPL-3.0-or-later
"""A plane or sphere under one lamp, and how well the engine's picture of it agrees with Cycles'."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from likeness.engine.scene import Scene
from tests.scenes.cycles import render_cycles

SIZE = 96


def principled(material: bpy.types.Material) -> bpy.types.Node:
    return next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")


def noise(material: bpy.types.Material, scale: float = 3.0) -> bpy.types.Node:
    node = material.node_tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value = scale
    node.inputs["Detail"].default_value = 0.0
    return node


def stage(material: bpy.types.Material, shape: str = "plane") -> bpy.types.Object:
    """An object with a UV map, a camera above it and a lamp."""
    if shape == "plane":
        bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2, size=2)
    else:
        bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24)
        bpy.ops.object.shade_smooth()
    obj = bpy.context.object
    obj.data.materials.append(material)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0, -1.4, 3.2), (0.42, 0, 0)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.data.shadow_soft_size, lamp.location = 150, 0.0, (1.5, -0.5, 2.5)
    for new in (camera, lamp):
        scene.collection.objects.link(new)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    return obj


def psnr(folder: Path, bake: int = 512) -> tuple[float, Scene]:
    """How well the engine's picture of the scene agrees with Cycles' of its original nodes, in dB below white."""
    scene = bpy.context.scene
    read = read_scene(scene, bake=bake)
    ours = render(read, scene.camera.name, SIZE, SIZE, 16, True, "cpu", 0)[..., :3]
    theirs = render_cycles(
        scene, scene.camera, folder / "cycles.exr", width=SIZE, height=SIZE, samples=64, direct_only=True
    )[..., :3]
    error = np.mean((np.clip(ours, 0, 1) - np.clip(theirs, 0, 1)) ** 2)
    assert theirs.std() > 0.03
    return float(-10 * np.log10(error)), read
