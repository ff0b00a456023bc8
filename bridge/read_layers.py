# SPDX-License-Identifier: GPL-3.0-or-later
"""Coat, sheen and grain of a Principled BSDF -> fields of :class:`engine.scene.Material`; the grain is constant."""

from __future__ import annotations

from typing import Any

from . import versions
from .nodes import Source, constant
from .notes import Notes
from .read_inputs import InputReader

# input -> Material field, number of components
_LAYERS = {
    "Coat Weight": ("coat_weight", 1),
    "Coat Roughness": ("coat_roughness", 1),
    "Coat IOR": ("coat_ior", 1),
    "Coat Tint": ("coat_tint", 3),
    "Sheen Weight": ("sheen_weight", 1),
    "Sheen Roughness": ("sheen_roughness", 1),
    "Sheen Tint": ("sheen_tint", 3),
}


def read_layers(shader: Source, inputs: InputReader, notes: Notes, owner: str) -> dict[str, Any]:
    """Fields of coat and sheen, of those that are there: a layer of weight 0 is nothing to speak of."""
    fields: dict[str, Any] = {}
    for layer in ("Coat", "Sheen"):
        names = [name for name in _LAYERS if name.startswith(layer) and shader.has_input(name)]
        if not names or constant(shader.input(f"{layer} Weight")) == (0.0,):
            continue
        for name in names:
            field, size = _LAYERS[name]
            fields[field] = inputs.socket(shader, name, size)
    if "coat_weight" in fields:
        fields["coat_normal"] = inputs.normal(shader, "Coat Normal")
    if "coat_weight" in fields and not versions.COAT_IS_CURRENT:
        notes.approximated(owner, "Coat: it is shaded as from Blender 4.5 on, up to 3 % differently")
    return fields


def read_grain(
    shader: Source,
    inputs: InputReader,
    notes: Notes,
    owner: str,
    amount: str = "Anisotropic",
    rotation: str = "Anisotropic Rotation",
) -> dict[str, Any]:
    """Fields of anisotropy, if there is any; ``amount`` and ``rotation`` name its inputs."""
    if not shader.has_input(amount) or constant(shader.input(amount)) == (0.0,):
        return {}
    fields: dict[str, Any] = {
        "anisotropic": float(inputs.mean(shader, amount, 1)[0]),
        "anisotropic_rotation": float(inputs.mean(shader, rotation, 1)[0]),
    }
    source = shader.input("Tangent")
    if source.node is None:
        return fields
    node = source.node
    if node.bl_idname == "ShaderNodeTangent":
        fields["tangent"] = "UV" if node.direction_type == "UV_MAP" else f"RADIAL_{node.axis}"
        fields["tangent_uv"] = node.uv_map if node.direction_type == "UV_MAP" else ""
    else:
        notes.approximated(owner, f"Tangent: {source.described} is not supported; treated as Radial, Z")
    return fields
