# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting fitted images into material node trees, so that an artist finds ordinary nodes.

A socket that already had an Image Texture of its own keeps that node, its mapping and UV map, and gets the new
image. Nodes between its texture and the socket stay where they can be turned round (:mod:`.invert_chain`). A texture
node that also feeds something else is left alone: a new one with the same coordinates takes over.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from ..engine.errors import SceneError
from .invert_chain import Place
from .nodes import Source, follow, surface_output
from .notes import Notes, label
from .versions import use_opengl_normals, uses_nodes

# target -> Principled input
SOCKETS = {
    "base_color": "Base Color",
    "roughness": "Roughness",
    "metallic": "Metallic",
    "normal": "Normal",
    "emission": "Emission Color",
}
# shaders that leave what is fitted for a Principled BSDF beside them as it is
_BESIDE = {
    "ShaderNodeMixShader": {"ShaderNodeBsdfTransparent"},
    "ShaderNodeAddShader": {"ShaderNodeBsdfTransparent", "ShaderNodeEmission"},
}
# what read_shader.py mixes
_MIXABLE = {
    "ShaderNodeBsdfPrincipled",
    "ShaderNodeBsdfDiffuse",
    "ShaderNodeBsdfGlossy",
    "ShaderNodeBsdfAnisotropic",
    "ShaderNodeBsdfMetallic",
    "ShaderNodeBsdfGlass",
    "ShaderNodeEmission",
}
_NODE_WIDTH = 320
_NODE_HEIGHT = 300


@dataclass
class MaterialTarget:
    """A material that can be written to, found and checked before anything changes."""

    material: bpy.types.Material
    principled: bpy.types.Node


def find_material(name: str) -> bpy.types.Material:
    """The material of that (full) name. Raises :class:`SceneError` where there is none."""
    material = next((material for material in bpy.data.materials if material.name_full == name), None)
    if material is None:
        raise SceneError(f'there is no material "{name}" in this file any more. Undo its renaming, or fit again')
    return material


def check_material(name: str) -> MaterialTarget:
    """Make sure that a material can take images. Raises :class:`SceneError` that says why not."""
    material = find_material(name)
    if material.library is not None:
        raise SceneError(f"{label(material)} is linked from another file. Make it local to fit it")
    if material.override_library is not None:
        raise SceneError(f"{label(material)} is a library override, which keeps no nodes. Make it local to fit it")
    principled = own_principled(material)
    if principled is None:
        raise SceneError(
            f"{label(material)} has no Principled BSDF of its own (outside node groups). Give it one to fit it"
        )
    return MaterialTarget(material, principled)


def own_principled(material: bpy.types.Material) -> bpy.types.Node | None:
    """The Principled BSDF outside of node groups that a render of the material shows, None where there is none."""
    output = surface_output(material.node_tree) if uses_nodes(material) else None
    return _principled_behind(follow(output.inputs["Surface"])) if output is not None else None


def _principled_behind(source: Source) -> bpy.types.Node | None:
    """The first Principled BSDF outside of groups, None where another shader is mixed with it: what is fitted for the
    mixture cannot be written to one of its parts."""
    if source.node is None or source.groups:
        return None
    if source.node.bl_idname == "ShaderNodeBsdfPrincipled":
        return source.node
    behind = [follow(socket) for socket in source.node.inputs if socket.type == "SHADER"]
    harmless = _BESIDE.get(source.node.bl_idname)
    if harmless is not None:
        behind = [other for other in behind if other.node is not None and other.node.bl_idname not in harmless]
        if len(behind) > 1 and all(_can_be_mixed(other) for other in behind):
            return None
    return next((found for found in map(_principled_behind, behind) if found is not None), None)


def _can_be_mixed(source: Source) -> bool:
    """Whether the reader makes one surface of a shader and others."""
    if source.node is None:
        return False
    if source.node.bl_idname not in {"ShaderNodeMixShader", "ShaderNodeAddShader"}:
        return source.node.bl_idname in _MIXABLE
    return any(_can_be_mixed(follow(socket, source.groups)) for socket in source.node.inputs if socket.type == "SHADER")


def entry_of(target: MaterialTarget, socket: str) -> bpy.types.NodeSocket | None:
    """The input that an image of a target goes to; None where it takes a new Normal Map node."""
    entry = target.principled.inputs[SOCKETS[socket]]
    if socket != "normal":
        return entry
    source = follow(entry)
    own = _is_tangent_map(source) and not source.groups and _only_feeds(source.node, entry)
    return source.node.inputs["Color"] if own and source.node is not None else None


def write_socket(
    target: MaterialTarget,
    socket: str,
    image: bpy.types.Image,
    notes: Notes,
    place: Place | None = None,
) -> None:
    """Let ``image`` drive a socket (one of MATERIAL_TARGETS) of a checked material.

    ``place``: the node that takes the image, with what is known of the nodes between it and the socket.
    """
    tree = target.material.node_tree
    entry = target.principled.inputs[SOCKETS[socket]]
    if socket == "normal":
        normal_map = _normal_map(target, notes)
        use_opengl_normals(normal_map)
        entry = normal_map.inputs["Color"]
    elif socket == "emission":
        # the image holds radiance
        strength = target.principled.inputs["Emission Strength"]
        _unlink(tree, strength)
        strength.default_value = 1.0
    if place is not None and place.node is not None:
        place.node.image = image
        return
    source = follow(entry)
    texture = source
    if source.node is not None and source.node.bl_idname in {"ShaderNodeSeparateColor", "ShaderNodeSeparateRGB"}:
        texture = follow(source.node.inputs[0], source.groups)
    is_texture = texture.node is not None and texture.node.bl_idname == "ShaderNodeTexImage" and not texture.groups
    if is_texture and texture is source and _output_name(source) == "Color" and _only_feeds(source.node, entry):
        assert source.node is not None
        source.node.image = image
        return
    node = _new_texture_node(target, socket, image)
    if is_texture:
        assert texture.node is not None
        _copy_sampling(tree, texture.node, node)
    elif source.node is not None:
        if place is not None and place.sampled_as is not None:
            _copy_sampling(tree, place.sampled_as, node)
        why = f" ({place.why})" if place is not None and place.why else ""
        notes.approximated(
            target.material,
            f"{SOCKETS[socket]}: {source.described} was replaced by an image{why}; the node is still there",
        )
    tree.links.new(node.outputs["Color"], entry)


def _output_name(source: Source) -> str:
    return source.output.name if source.output is not None else ""


def _only_feeds(node: bpy.types.Node | None, entry: bpy.types.NodeSocket) -> bool:
    """Whether all links that leave a node end, through reroutes, at one socket."""
    assert node is not None
    pending = [link for output in node.outputs for link in output.links]
    while pending:
        link = pending.pop()
        if link.to_node.bl_idname == "NodeReroute":
            pending += list(link.to_node.outputs[0].links)
        elif link.to_socket != entry:
            return False
    return True


def _unlink(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket) -> None:
    for link in list(socket.links):
        tree.links.remove(link)


def _left_column(tree: bpy.types.NodeTree) -> float:
    """x of a free column at the left of all nodes."""
    return min((_absolute_x(node) for node in tree.nodes if node.bl_idname != "NodeFrame"), default=0.0) - _NODE_WIDTH


def _absolute_x(node: bpy.types.Node) -> float:
    x = float(node.location.x)
    return x + _absolute_x(node.parent) if node.parent is not None else x


def _new_texture_node(target: MaterialTarget, socket: str, image: bpy.types.Image) -> bpy.types.Node:
    """A labelled Image Texture node; all of one material stand in one column in the order of the sockets."""
    tree = target.material.node_tree
    wanted = f"Likeness {SOCKETS[socket]}"
    column = [
        node for node in tree.nodes if node.name.startswith("Likeness ") and node.bl_idname == "ShaderNodeTexImage"
    ]
    x = min(_absolute_x(node) for node in column) if column else _left_column(tree)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name = wanted
    node.label = f"{SOCKETS[socket]} (Likeness)"
    node.location = (x, target.principled.location.y - _NODE_HEIGHT * list(SOCKETS).index(socket))
    node.image = image
    node.select = False
    return node


def _copy_sampling(tree: bpy.types.NodeTree, old: bpy.types.Node, new: bpy.types.Node) -> None:
    new.extension = old.extension
    new.interpolation = old.interpolation
    for link in old.inputs["Vector"].links:
        tree.links.new(link.from_socket, new.inputs["Vector"])


def _is_tangent_map(source: Source) -> bool:
    node = source.node
    return node is not None and node.bl_idname == "ShaderNodeNormalMap" and node.space == "TANGENT"


def _normal_map(target: MaterialTarget, notes: Notes) -> bpy.types.Node:
    """The tangent-space Normal Map node right at the shader's Normal input; made where there is none of its own."""
    tree = target.material.node_tree
    entry = target.principled.inputs["Normal"]
    source = follow(entry)
    old = source
    while old.node is not None and old.node.bl_idname == "ShaderNodeBump":
        old = old.input("Normal")
    usable = _is_tangent_map(old)
    if usable and old is source and not source.groups and _only_feeds(source.node, entry):
        assert source.node is not None
        return source.node
    if source.node is not None and source.node.bl_idname == "ShaderNodeBump":
        notes.approximated(
            target.material, f"Normal: {source.described} was bypassed, the fitted normal map holds what it showed"
        )
    node = tree.nodes.new("ShaderNodeNormalMap")
    node.name = "Likeness Normal Map"
    node.label = "Normal Map (Likeness)"
    node.location = (_left_column(tree), target.principled.location.y - _NODE_HEIGHT * list(SOCKETS).index("normal"))
    node.select = False
    if usable:
        assert old.node is not None
        node.uv_map = old.node.uv_map
        node.inputs["Strength"].default_value = old.node.inputs["Strength"].default_value
        old_color = follow(old.node.inputs["Color"], old.groups)
        if old_color.node is not None and not old_color.groups:
            tree.links.new(old_color.output, node.inputs["Color"])
    tree.links.new(node.outputs["Normal"], entry)
    return node
