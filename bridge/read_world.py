# SPDX-License-Identifier: GPL-3.0-or-later
"""World -> :class:`engine.scene.World`: a Background node with a colour or an environment texture.

Anything else is rendered by Cycles into a panorama. Traps handled here: a Mapping node of type POINT looks up R d,
TEXTURE looks up the inverse; a world without nodes (4.2, 4.5) is its viewport colour with strength 1; no world at all
is black; where a Light Path node shows the camera something else, the first background lights the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..engine.scene import Image, World
from . import versions
from .bake_world import bake_world
from .nodes import Source, constant, follow, surface_output
from .notes import Notes, label
from .read_image import ImageReader
from .read_texture import mapping_matrix


@dataclass(frozen=True)
class Understanding:
    """What reader and writer make of a world's nodes; both act on the same one, so that their frames agree.

    ``background``: the Background node that counts; ``texture``: its equirectangular texture, if it has one whose
    coordinates are a pure rotation; ``unknown``: what else there is, in words, "" where nothing is;
    ``bake``: Cycles has to render the world, and pixels are in world directions.
    """

    background: Source | None = None
    texture: Source | None = None
    rotation: np.ndarray | None = None  # [3, 3] world direction -> lookup direction of ``texture``
    unknown: str = ""
    bake: bool = False


def read_world(world: bpy.types.World | None, images: ImageReader, notes: Notes) -> World:
    """The radiance that the world sends in; findings are noted under the world's name."""
    if world is None:
        return World()
    if not versions.uses_nodes(world):
        return World(name=world.name_full, color=np.array(world.color, np.float32))
    owner = label(world)
    hidden = [kind for kind in ("camera", "diffuse", "glossy") if not getattr(world.cycles_visibility, kind)]
    if hidden:
        notes.approximated(owner, f"ray visibility: it is shown to {' and '.join(hidden)} rays all the same")
    result = World(name=world.name_full)
    output = surface_output(world.node_tree)
    if output is not None and follow(output.inputs["Volume"]).node is not None:
        notes.ignored(owner, "the world volume is left out")
    found = understand(world)
    if found.bake:
        baked = _bake(world)
        if baked is not None:
            result.image = images.add(f"{world.name_full} (rendered)", Image("", baked))
            notes.approximated(owner, f"{found.unknown}: Cycles rendered the world into an image, which is used")
            return result
    if found.unknown:
        instead = f"{found.background.described} is used" if found.background is not None else "the world is black"
        notes.approximated(owner, f"{found.unknown}: {instead}")
    if found.background is None:
        return result
    node = found.background.node
    assert node is not None
    strength = constant(found.background.input("Strength"))
    result.strength = float(node.inputs["Strength"].default_value if strength is None else strength[0])
    color = constant(found.background.input("Color"))
    result.color = np.array(node.inputs["Color"].default_value[:3] if color is None else color, np.float32)
    result.color = np.broadcast_to(result.color, 3).copy()
    if found.texture is not None and not found.bake:
        _read_texture(found.texture, result, images, notes, owner)
        if found.rotation is not None:
            result.rotation = found.rotation.astype(np.float32)
    return result


def _bake(world: bpy.types.World) -> np.ndarray | None:
    """[H, W, 4] of a rendered world, or None where Blender cannot render now."""
    try:
        pixels = bake_world(world)
    except RuntimeError:
        return None
    return np.concatenate([pixels, np.ones((*pixels.shape[:2], 1), np.float32)], axis=-1)


def _read_texture(texture: Source, result: World, images: ImageReader, notes: Notes, owner: str) -> None:
    node = texture.node
    assert node is not None
    if node.image is None:
        notes.error(owner, f"{texture.described} has no image: the colour of the Background node is used")
        return
    if node.interpolation != "Linear":
        notes.approximated(owner, f"{texture.described}: {node.interpolation} interpolation is done linearly")
    result.image = images.key(node.image)


def understand(world: bpy.types.World) -> Understanding:
    """Look through a world's nodes without changing anything."""
    output = surface_output(world.node_tree) if versions.uses_nodes(world) else None
    if output is None:
        return Understanding()
    source = follow(output.inputs["Surface"])
    if source.node is None:
        return Understanding()
    light_path = any(node.bl_idname == "ShaderNodeLightPath" for node in world.node_tree.nodes)
    background = find_background(source)
    if background is None:
        return Understanding(unknown=f"{source.described} is not known", bake=not light_path)
    unknown = [] if background.node == source.node else [f"{source.described} is not known"]
    if constant(background.input("Strength")) is None:
        unknown.append(f"Strength of {background.described} is linked")
    texture, rotation = None, None
    color = background.input("Color")
    if constant(color) is None:
        node = color.node
        assert node is not None
        if node.bl_idname != "ShaderNodeTexEnvironment" or node.projection != "EQUIRECTANGULAR":
            unknown.append(f"{color.described} is not known")
        else:
            rotation = _pure_rotation(color)
            if rotation is None:
                unknown.append(f"the coordinates of {color.described} are more than a rotation")
            else:
                texture = color
    return Understanding(background, texture, rotation, " and ".join(unknown), bool(unknown) and not light_path)


def find_background(source: Source, depth: int = 0) -> Source | None:
    """The first Background node behind a world shader."""
    if source.node is None or depth > 20:
        return None
    if source.node.bl_idname == "ShaderNodeBackground":
        return source
    for socket in source.node.inputs:
        if socket.type == "SHADER":
            found = find_background(follow(socket, source.groups), depth + 1)
            if found is not None:
                return found
    return None


def _pure_rotation(texture: Source) -> np.ndarray | None:
    """World direction -> lookup direction [3, 3] of a texture's coordinates; None where they are no rotation."""
    total = np.eye(3)
    source = texture.input("Vector")
    for _ in range(100):
        if source.node is None:
            # without any link the direction itself is looked up; a Mapping node without one maps a constant
            on_texture = source.socket is not None and source.socket.node == texture.node
            return total if on_texture else None
        if source.node.bl_idname != "ShaderNodeMapping":
            assert source.output is not None
            known = source.node.bl_idname == "ShaderNodeTexCoord" and source.output.name in {"Generated", "Object"}
            return total if known and getattr(source.node, "object", None) is None else None
        matrix = mapping_matrix(source, of_directions=True)
        if matrix is None or np.abs(matrix[:3, 3]).max() > 1e-6:
            return None
        if np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max() > 1e-4:
            return None
        total = total @ matrix[:3, :3]
        source = source.input("Vector")
    return None
