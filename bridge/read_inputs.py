# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of shader nodes: constants, image textures, chains of nodes behind them, and what has to be baked."""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..engine.scene import NormalMap, Socket
from . import versions
from .bake_material import Bake
from .derived_texture import DerivedTextures
from .node_values import NotUnderstoodError, understands
from .nodes import Source, constant, follow, upstream
from .notes import Notes, label
from .read_image import ImageReader
from .read_texture import TextureReader

_COORDINATES = {"ShaderNodeMapping", "ShaderNodeUVMap", "ShaderNodeAttribute", "ShaderNodeNormalMap"}
_MOST_BUMPS = 20
_OF_THE_VIEW = {
    "ShaderNodeFresnel": "Fresnel",
    "ShaderNodeLayerWeight": "Layer Weight",
    "ShaderNodeCameraData": "Camera Data",
    "ShaderNodeLightPath": "Light Path",
}


@dataclass
class Baked:
    """What was baked for one material so far; ``failure`` says why there will be no more."""

    pixels: dict[Bake, np.ndarray] = field(default_factory=dict)
    failure: str = ""
    users: list[str] = field(default_factory=list)  # objects that share the texture
    tiled: bool = False  # their UV maps leave the unit square


class InputReader:
    """Reads inputs of one material's shaders.

    What has to be baked and is not in ``baked`` yet is collected in :attr:`wanted` and named.
    """

    def __init__(
        self, material: bpy.types.Material, images: ImageReader, notes: Notes, baked: Baked | None = None
    ) -> None:
        self.wanted: list[Bake] = []
        self._notes = notes
        self._owner = label(material)
        self._baked = baked
        self._textures = TextureReader(images, notes, self._owner)
        self.derived = DerivedTextures(images, self._textures, material.name_full)

    def socket(self, shader: Source, name: str, size: int, force: bool = False) -> Socket:
        """One input as constant or texture.

        ``force``: bake also a texture that is understood, so that it lies on the active UV map.
        """
        source = shader.input(name)
        value = constant(source)
        assert shader.node is not None
        if value is not None:
            return Socket(_components(value, size))
        default = shader.node.inputs[name].default_value
        substitute = Socket(_components(tuple(default[:3]) if size == 3 else (float(default),), size))
        if source.node is None:
            return substitute
        unknown = source
        if not force:
            try:
                return self._understood(source, size, _name(shader, name), substitute)
            except NotUnderstoodError as error:
                unknown = error.source
        baked = self._bake(shader, name, size, unknown)
        return baked or substitute

    def mean(self, shader: Source, name: str, size: int) -> np.ndarray:
        """One input as a constant [size]; a texture is replaced by its mean."""
        found = self.socket(shader, name, size)
        if found.texture is None:
            return found.value
        self._notes.approximated(self._owner, f"{name}: the texture is replaced by its mean")
        return self._textures.mean(found.texture, size)

    def _understood(self, source: Source, size: int, name: str, substitute: Socket) -> Socket:
        texture_source = source
        if source.node is not None and source.node.bl_idname == "ShaderNodeSeparateColor":
            texture_source = follow(source.node.inputs[0], source.groups)
        node = texture_source.node
        if node is not None and node.bl_idname == "ShaderNodeTexImage":
            if node.image is not None and self._textures.needs_baking(texture_source):
                raise NotUnderstoodError(texture_source)
            texture = self._textures.read(source)
            if texture is not None or node.image is None:
                return Socket(substitute.value, texture)
        return self.derived.from_nodes(source, size, name)

    def normal(self, shader: Source, name: str = "Normal") -> NormalMap | None:
        """The normals that an input of a shader gets: an unchanged Normal Map node, or a baked texture."""
        if not shader.has_input(name):
            return None
        source = shader.input(name)
        for _ in range(_MOST_BUMPS):
            if source.node is None:
                return None
            if source.node.bl_idname != "ShaderNodeBump" or constant(source.input("Height")) is None:
                break
            source = source.input("Normal")  # a constant height is no bump
        assert source.node is not None
        node, unknown = source.node, source
        if node.bl_idname == "ShaderNodeNormalMap" and node.space == "TANGENT":
            strength = constant(source.input("Strength"))
            if constant(source.input("Color")) is not None:
                return None
            if strength is not None and not versions.normal_map_is_directx(node):
                try:
                    found = self._understood(source.input("Color"), 3, name, _FLAT)
                    return None if found.texture is None else NormalMap(found.texture, float(strength[0]))
                except NotUnderstoodError as error:
                    unknown = error.source
        baked = self._bake(shader, name, 3, unknown, normal=True)
        return NormalMap(baked.texture) if baked is not None and baked.texture is not None else None

    def normal_of_displacement(self, output: Source) -> NormalMap | None:
        """The baked normals of what is linked to Displacement of a Material Output."""
        baked = self._bake(output, "Displacement", 3, output.input("Displacement"), normal=True)
        return NormalMap(baked.texture) if baked is not None and baked.texture is not None else None

    def _bake(self, shader: Source, name: str, size: int, unknown: Source, normal: bool = False) -> Socket | None:
        """The baked input, or None with a note that says why there is none."""
        assert shader.node is not None
        groups = tuple(group.name for group in shader.groups)
        wanted = Bake(groups, shader.node.name, name, size, normal)
        pixels = self._baked.pixels.get(wanted) if self._baked is not None else None
        if pixels is None and (self._baked is None or not self._baked.failure):
            self.wanted.append(wanted)
            self._notes.approximated(self._owner, f"{name}: {unknown.described} will be baked to a texture")
            return None
        assert self._baked is not None
        if pixels is None:
            instead = "normals stay unchanged" if normal else "the socket's default value is used"
            self._notes.approximated(
                self._owner,
                f"{name}: {unknown.described} is not supported and was not baked, because {self._baked.failure}; "
                + instead,
            )
            return None
        side = pixels.shape[0]
        self._notes.approximated(
            self._owner,
            f"{name}: baked from {unknown.described}, {side} x {side}{self._remarks(shader.input(name))}",
        )
        pixels = pixels if normal else np.maximum(pixels, 0)
        return self.derived.add(pixels, _name(shader, name), size, self._baked.tiled)

    def _remarks(self, source: Source) -> str:
        """What a texture cannot say although the nodes do."""
        assert self._baked is not None
        nodes = list(upstream(source))
        remarks = ""
        kinds = {found.node.bl_idname for found in nodes if found.node is not None}
        view = sorted(name for kind, name in _OF_THE_VIEW.items() if kind in kinds)
        if view:
            named = " and ".join(view)
            remarks += f". {named} is taken as for a camera that looks straight at the surface"
        if self._baked.tiled:
            remarks += ". The UV map leaves the unit square, so the texture repeats where the nodes may not"
        if len(self._baked.users) > 1 and any(_differs_by_object(found) for found in nodes):
            remarks += f". {' and '.join(self._baked.users)} share it: where their UV maps overlap they look the same"
        return remarks


def to_be_baked(surface: Source) -> list[Source]:
    """Nodes behind a shader that are sure to be baked, found without reading any image."""
    return [
        found
        for found in upstream(surface)
        if found.node is not None
        and found.output is not None
        and found.output.type != "SHADER"
        and not understands(found.node)
        and found.node.bl_idname not in _COORDINATES
        and (found.node.bl_idname != "ShaderNodeTexCoord" or found.output.name != "UV")
    ]


_FLAT = Socket(np.array([0.5, 0.5, 1.0], np.float32))


def _name(shader: Source, name: str) -> str:
    assert shader.node is not None
    return "/".join([*(group.name for group in shader.groups), shader.node.name, name])


def _differs_by_object(source: Source) -> bool:
    """Whether a node's output is not the same on two objects at the same place of the UV map."""
    assert source.node is not None
    kind = source.node.bl_idname
    if kind in {
        "ShaderNodeBump",
        "ShaderNodeDisplacement",
    }:  # slopes depend on how large the UV map lies on the surface
        return True
    if kind == "ShaderNodeTexCoord":
        assert source.output is not None
        return source.output.name != "UV"
    if kind.startswith("ShaderNodeTex") and "Vector" in source.node.inputs:
        # without a link, procedural textures use Generated coordinates
        return kind != "ShaderNodeTexImage" and not source.node.inputs["Vector"].is_linked
    return kind in {"ShaderNodeObjectInfo", "ShaderNodeNewGeometry", "ShaderNodeAttribute", "ShaderNodeVertexColor"}


def _components(value: tuple[float, ...], size: int) -> np.ndarray:
    """A constant as the socket sees it: numbers spread to colours, colours become Rec.709 luminance."""
    if len(value) == size:
        return np.array(value, np.float32)
    if size == 3:
        return np.full(3, value[0], np.float32)
    return np.array([0.2126 * value[0] + 0.7152 * value[1] + 0.0722 * value[2]], np.float32)
