# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixes for materials: none at all, no Principled BSDF, linked from another file, shared by several objects."""

from __future__ import annotations

import bpy

from ..engine.errors import SceneError
from . import fix_data, fix_mixture, versions
from .nodes import Source, constant, follow, surface_output
from .notes import label
from .survey import survey, used_slots
from .write_material import own_principled

_GREY = (0.8, 0.8, 0.8)
# Where a shader keeps its colour.
_COLOURS = ("Base Color", "Color", "Diffuse Color")
_MIXTURES = {"ShaderNodeMixShader", "ShaderNodeAddShader"}
_NODE_WIDTH = 300


def add_material(_scene: bpy.types.Scene, name: str) -> str:
    """Fill the empty slots that faces use with one new material; an object without slots gets one."""
    obj = fix_data.find_object(name)
    fix_data.refuse_linked([obj] if obj.material_slots else [obj, obj.data])
    empty = [index for index in used_slots(obj) if obj.material_slots and obj.material_slots[index].material is None]
    if obj.material_slots and not empty:
        raise SceneError(f"{label(obj)} has a material on all faces by now. Check again")
    material = bpy.data.materials.new(obj.name)
    versions.enable_nodes(material)
    principled = own_principled(material)
    assert principled is not None
    principled.inputs["Base Color"].default_value = (*_GREY, 1.0)
    if not obj.material_slots:
        obj.data.materials.append(material)
    for index in empty:
        _fill(obj, obj.material_slots[index], material)
    return f'Object "{obj.name}" has material "{material.name}" now'


def _fill(obj: bpy.types.Object, slot: bpy.types.MaterialSlot, material: bpy.types.Material) -> None:
    """Put a material into a slot of this object alone: slots of a mesh that others use, or another file, stay."""
    if obj.data.users > 1 or obj.data.library is not None:
        slot.link = "OBJECT"
    slot.material = material


def use_principled(scene: bpy.types.Scene, name: str) -> str:
    """Let a Principled BSDF take the place of what a material shows, with its base colour; old nodes stay.

    Mixed shaders give it all their parameters, baked where they vary over the surface.
    """
    material = fix_data.find(bpy.data.materials, "material", name)
    fix_data.refuse_linked([material])
    if own_principled(material) is not None:
        raise SceneError(f"{label(material)} has a Principled BSDF by now. Check again")
    had_nodes = versions.uses_nodes(material)
    versions.enable_nodes(material)
    tree = material.node_tree
    output = surface_output(tree) or tree.nodes.new("ShaderNodeOutputMaterial")
    surface = follow(output.inputs["Surface"])
    shader = _coloured(surface) if had_nodes else None
    mixture = None
    if had_nodes and surface.node is not None and surface.node.bl_idname in _MIXTURES:
        mixture = fix_mixture.read_mixture(scene, material)
    principled = tree.nodes.new("ShaderNodeBsdfPrincipled")
    principled.location = (output.location.x - _NODE_WIDTH, output.location.y)
    principled.select = False
    if mixture is not None:
        fix_mixture.let_take_over(material, principled, *mixture)
    elif shader is None:
        principled.inputs["Base Color"].default_value = (*material.diffuse_color[:3], 1.0)
    else:
        _take_over(tree, shader, principled)
    tree.links.new(principled.outputs["BSDF"], output.inputs["Surface"])
    return f'Material "{material.name}" is a Principled BSDF now; its old nodes are still there'


def _coloured(source: Source, depth: int = 0) -> Source | None:
    """The first shader behind a source that has a colour."""
    if source.node is None or depth > 20:
        return None
    if any(source.has_input(name) for name in _COLOURS):
        return source
    for socket in source.node.inputs:
        if socket.type == "SHADER":
            found = _coloured(follow(socket, source.groups), depth + 1)
            if found is not None:
                return found
    return None


def _take_over(tree: bpy.types.NodeTree, shader: Source, principled: bpy.types.Node) -> None:
    assert shader.node is not None
    name = next(name for name in _COLOURS if shader.has_input(name))
    emits = shader.node.bl_idname == "ShaderNodeEmission"
    _copy_input(tree, shader, name, principled.inputs["Emission Color" if emits else "Base Color"])
    if emits:
        principled.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
        _copy_input(tree, shader, "Strength", principled.inputs["Emission Strength"])
    elif shader.node.bl_idname in {"ShaderNodeBsdfAnisotropic", "ShaderNodeBsdfGlossy"}:
        principled.inputs["Metallic"].default_value = 1.0
        _copy_input(tree, shader, "Roughness", principled.inputs["Roughness"])
    if shader.has_input("Normal"):
        _copy_input(tree, shader, "Normal", principled.inputs["Normal"])


def _copy_input(tree: bpy.types.NodeTree, shader: Source, name: str, to: bpy.types.NodeSocket) -> None:
    """Let a socket have what another shader's input has: its constant or, from the same tree, its link."""
    source = shader.input(name)
    value = constant(source)
    if value is None and source.output is not None and not source.groups:
        tree.links.new(source.output, to)
        return
    if value is None:
        return
    if to.type == "RGBA":
        spread = value if len(value) == 3 else value * 3
        to.default_value = (*spread, 1.0)
    elif to.type == "VALUE":
        to.default_value = value[0]


def make_local(scene: bpy.types.Scene, name: str) -> str:
    """Make a material part of this file, with the objects and meshes that show it where those were linked too."""
    material = fix_data.find(bpy.data.materials, "material", name)
    objects = survey(scene).materials.get(material, [])
    # a linked object or mesh would go on showing the linked material
    for obj in fix_data.localise_objects(scene, objects):
        if obj.data.library is not None and any(
            slot.material == material and slot.link == "DATA" for slot in obj.material_slots
        ):
            fix_data.make_local(obj.data)
    local = fix_data.make_local(material)
    return f'Material "{local.name}" is part of this file now'


def make_single_user(scene: bpy.types.Scene, name: str) -> str:
    """Give every object but the first a copy of a material; objects that share a mesh keep the copy to themselves."""
    material = fix_data.find(bpy.data.materials, "material", name)
    objects = survey(scene).materials.get(material, [])
    if len(objects) < 2:
        raise SceneError(f"{label(material)} is not shared any more. Check again")
    fix_data.refuse_linked(objects)
    for obj in objects[1:]:
        copy = fix_data.copied(scene, material)
        for slot in obj.material_slots:
            if slot.material == material:
                _fill(obj, slot, copy)
    return f'Each of {len(objects)} objects has its own copy of material "{name}" now'
