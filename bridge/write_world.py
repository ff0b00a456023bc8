# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitted world radiance and lights -> node tree of the world, light datablocks.

Fitted environment pixels are in the lookup frame of ``World.rotation``: coordinates that are a pure rotation stay as
they are, so that the picture keeps its place in the world; where the fit saw a rendered panorama, the new image is
looked up without any.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from ..engine.errors import SceneError
from ..engine.result import FittedLight, FittedWorld
from . import versions
from .bake_world import bake_world
from .nodes import follow, surface_output
from .notes import Notes, label
from .read_world import Understanding, understand


def check_world(world: bpy.types.World | None) -> None:
    """Make sure that the scene's world can be written. Raises :class:`SceneError` for linked library data."""
    if world is not None and world.library is not None:
        raise SceneError(f"{label(world)} is linked from another file. Make it local to fit it")
    if world is not None and world.override_library is not None:
        raise SceneError(f"{label(world)} is a library override, which keeps no nodes. Make it local to fit it")


def write_world(scene: bpy.types.Scene, fitted: FittedWorld, image: bpy.types.Image | None, notes: Notes) -> str:
    """Set the scene's world to ``strength`` times ``image`` or colour; returns the name of the world."""
    world = scene.world
    if world is None:
        world = scene.world = bpy.data.worlds.new("World (Likeness)")
    found = understand(world)
    versions.enable_nodes(world)
    background = _own_background(world, found)
    if found.unknown:
        notes.approximated(world, f"{found.unknown}: the fitted world holds what it showed, the nodes are still there")
    strength, color = background.inputs["Strength"], background.inputs["Color"]
    _unlink(world.node_tree, strength)
    strength.default_value = fitted.strength
    if image is not None:
        _write_environment(world.node_tree, color, image, found)
    elif found.texture is None:
        _unlink(world.node_tree, color)
        color.default_value = (*(float(part) for part in fitted.color), 1.0)
    return world.name_full


def environment_pixels(world: bpy.types.World | None, fitted: FittedWorld) -> np.ndarray | None:
    """The image that a fitted world needs: its own pixels, or where only the strength of a world of unknown nodes was
    fitted, what Cycles renders of them; None for a colour and for an image that stays."""
    if fitted.pixels is None and world is not None and understand(world).bake:
        return bake_world(world)
    return fitted.pixels


def _unlink(tree: bpy.types.NodeTree, socket: bpy.types.NodeSocket) -> None:
    for link in list(socket.links):
        tree.links.remove(link)


def _own_background(world: bpy.types.World, found: Understanding) -> bpy.types.Node:
    """The Background node that from now on alone feeds the world output; made where there is none outside groups."""
    tree = world.node_tree
    output = surface_output(tree)
    if output is None:
        output = tree.nodes.new("ShaderNodeOutputWorld")
        output.location = (300, 300)
    if found.background is not None and not found.background.groups:
        node = found.background.node
        assert node is not None
    else:
        # a world that had no nodes until now comes with a Background node
        direct = follow(output.inputs["Surface"]).node
        if direct is not None and direct.bl_idname == "ShaderNodeBackground" and found.background is None:
            return direct
        node = tree.nodes.new("ShaderNodeBackground")
        node.location = (output.location.x - 220, output.location.y)
    if follow(output.inputs["Surface"]).node != node:
        tree.links.new(node.outputs["Background"], output.inputs["Surface"])
    return node


def _write_environment(
    tree: bpy.types.NodeTree, color: bpy.types.NodeSocket, image: bpy.types.Image, found: Understanding
) -> None:
    if found.texture is not None and not found.bake and not found.texture.groups:
        texture = found.texture.node
        assert texture is not None
    else:
        texture = tree.nodes.new("ShaderNodeTexEnvironment")
        x = min(float(node.location.x) for node in tree.nodes)
        texture.location = (x - 320, color.node.location.y)
        tree.links.new(texture.outputs["Color"], color)
        if found.rotation is not None and not found.bake:
            _new_mapping(tree, texture, found.rotation)
    texture.interpolation = "Linear"
    texture.image = image


def _new_mapping(tree: bpy.types.NodeTree, texture: bpy.types.Node, rotation: np.ndarray) -> None:
    mapping = tree.nodes.new("ShaderNodeMapping")
    mapping.location = (texture.location.x - 220, texture.location.y)
    if np.linalg.det(rotation) < 0:
        rotation = -rotation
        mapping.inputs["Scale"].default_value = (-1.0, -1.0, -1.0)
    mapping.inputs["Rotation"].default_value = Matrix(rotation.tolist()).to_euler("XYZ")
    coordinate = tree.nodes.new("ShaderNodeTexCoord")
    coordinate.location = (mapping.location.x - 220, mapping.location.y)
    tree.links.new(coordinate.outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])


def find_light(name: str) -> bpy.types.Light:
    """The light datablock of that (full) name, editable. Raises :class:`SceneError` otherwise."""
    light = next((light for light in bpy.data.lights if light.name_full == name), None)
    if light is None:
        raise SceneError(f'there is no light "{name}" in this file any more. Undo its renaming, or fit again')
    if light.library is not None:
        raise SceneError(f"{label(light)} is linked from another file. Make it local to fit it")
    return light


def write_light(light: bpy.types.Light, fitted: FittedLight) -> None:
    """Set power (W; sun: W/m²) and scene-linear colour; exposure and temperature stay as they are."""
    light.energy = fitted.energy
    light.color = [float(part) for part in fitted.color]
