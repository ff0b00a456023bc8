# SPDX-License-Identifier: GPL-3.0-or-later
"""Light objects -> :class:`engine.scene.Light`.

Traps handled here: ``diffuse_factor``, ``specular_factor`` and the cutoff distance do nothing in Cycles; exposure,
temperature and ``normalize`` exist from 4.5 on; colour and power belong to the datablock, visibility to the object; a
square spot cone is round in Cycles.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..engine.scene import Light
from . import versions
from .nodes import constant, follow, surface_output
from .notes import Notes


def read_lights(depsgraph: bpy.types.Depsgraph, notes: Notes) -> list[Light]:
    """All lights of a depsgraph, instances included."""
    lights: list[Light] = []
    counts: dict[str, int] = {}
    for item in depsgraph.object_instances:
        obj = item.object
        if obj.type != "LIGHT" or not item.show_self:
            continue
        original = obj.original
        counts[original.name_full] = counts.get(original.name_full, 0) + 1
        number = counts[original.name_full]
        name = original.name_full if number == 1 else f"{original.name_full} #{number}"
        light = _read_light(name, original, obj.data, np.array(item.matrix_world, np.float32), notes)
        if light is not None:
            lights.append(light)
    return lights


def _read_light(
    name: str, obj: bpy.types.Object, data: bpy.types.Light, matrix: np.ndarray, notes: Notes
) -> Light | None:
    owner = f'Light "{obj.name_full}"'
    if getattr(data.cycles, "is_portal", False) and data.type == "AREA":
        notes.ignored(owner, "a portal: it only guides Cycles' sampling and emits nothing")
        return None
    linking = obj.light_linking
    if linking.receiver_collection is not None or linking.blocker_collection is not None:
        notes.approximated(owner, "light linking is not supported; it lights everything")
    if 0 <= data.cycles.max_bounces < 2:
        notes.approximated(
            owner, f"Max Bounces is {data.cycles.max_bounces}; all reflections of its light are rendered"
        )
    if data.type == "AREA" and _is_sheared(matrix):
        notes.approximated(owner, "its parents shear it; Cycles renders such lights by chance, clear the parent")
    multiplier = np.array(versions.light_temperature_colour(data), np.float32) * 2.0 ** versions.light_exposure(data)
    multiplier = multiplier * _node_factor(data, owner, notes)
    light = Light(
        name=name,
        data_name=data.original.name_full,
        kind=data.type,
        matrix=matrix,
        energy=float(data.energy),
        color=np.array(data.color, np.float32),
        multiplier=multiplier.astype(np.float32),
        normalize=versions.light_normalize(data),
        cast_shadow=versions.light_casts_shadow(data),
        visible_camera=bool(obj.visible_camera),
        visible_diffuse=bool(obj.visible_diffuse),
        visible_glossy=bool(obj.visible_glossy),
    )
    if data.type in {"POINT", "SPOT"}:
        light.radius = float(data.shadow_soft_size)
        light.soft_falloff = bool(data.use_soft_falloff)
    if data.type == "SUN":
        light.angle = float(data.angle)
    elif data.type == "SPOT":
        light.spot_size = float(data.spot_size)
        light.spot_blend = float(data.spot_blend)
    elif data.type == "AREA":
        round_ = data.shape in {"DISK", "ELLIPSE"}
        other = data.size_y if data.shape in {"RECTANGLE", "ELLIPSE"} else data.size
        light.area_shape = "ELLIPSE" if round_ else "RECTANGLE"
        light.area_size = (float(data.size), float(other))
        light.spread = float(data.spread)
    return light


def _is_sheared(matrix: np.ndarray) -> bool:
    axes = matrix[:3, :3] / np.maximum(np.linalg.norm(matrix[:3, :3], axis=0), 1e-12)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3)


def _node_factor(data: bpy.types.Light, owner: str, notes: Notes) -> np.ndarray:
    """What the light's node tree multiplies its radiance with; one where there is none."""
    one = np.ones(3, np.float32)
    if not data.use_nodes or data.node_tree is None:
        return one
    output = surface_output(data.node_tree)
    if output is None:
        return one
    source = follow(output.inputs["Surface"])
    if source.node is not None and source.node.bl_idname == "ShaderNodeEmission":
        color, strength = constant(source.input("Color")), constant(source.input("Strength"))
        if color is not None and strength is not None:
            return np.broadcast_to(np.array(color, np.float32) * strength[0], 3).astype(np.float32)
    notes.ignored(owner, "its node tree (textures, IES, falloff, …) is left out; power, colour and shape are used")
    return one
