# SPDX-License-Identifier: GPL-3.0-or-later
"""Material node trees -> :class:`engine.scene.Material`: the opaque Principled BSDF.

What the engine does not model (transmission, subsurface, …) gets a note where it is not at its neutral
value. Traps handled here: sockets are addressed by name, because their number changes between versions; a material
without nodes is a diffuse surface of its viewport colour; an empty slot is Cycles' default surface,
another one in 5.0 than before.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..engine.scene import Material, NormalMap, Socket, colour, scalar
from . import versions
from .nodes import Source, constant, follow, surface_output
from .notes import Notes, label
from .read_image import ImageReader
from .read_texture import TextureReader

NO_MATERIAL = "(no material)"

# Principled input -> Material field, number of components
_SOCKETS = {
    "Base Color": ("base_color", 3),
    "Metallic": ("metallic", 1),
    "Roughness": ("roughness", 1),
    "IOR": ("ior", 1),
    "Specular IOR Level": ("specular_level", 1),
    "Specular Tint": ("specular_tint", 3),
    "Emission Color": ("emission_color", 3),
    "Emission Strength": ("emission_strength", 1),
}
# inputs of the layers on the base -> Material field, number of components; constant over a material
_LAYERS = {
    "Coat Weight": ("coat_weight", 1),
    "Coat Roughness": ("coat_roughness", 1),
    "Coat IOR": ("coat_ior", 1),
    "Coat Tint": ("coat_tint", 3),
    "Sheen Weight": ("sheen_weight", 1),
    "Sheen Roughness": ("sheen_roughness", 1),
    "Sheen Tint": ("sheen_tint", 3),
}
# inputs outside the model: neutral value and what happens instead
_UNMODELLED = {
    "Alpha": (1.0, "the surface is treated as opaque"),
    "Diffuse Roughness": (0.0, "treated as 0 (Lambert)"),
    "Subsurface Weight": (0.0, "treated as diffuse of the same base colour"),
    "Transmission Weight": (0.0, "the surface is treated as opaque"),
    "Thin Film Thickness": (0.0, "the thin film is left out"),
    "Thin Wall": (0.0, "treated as a closed surface"),
}


class MaterialReader:
    """Reads every material once; the values of :attr:`materials` become ``Scene.materials``."""

    def __init__(self, images: ImageReader, notes: Notes) -> None:
        self.materials: dict[str, Material] = {}
        self._images = images
        self._notes = notes

    def key(self, material: bpy.types.Material | None, object_label: str) -> str:
        """The key in ``Scene.materials`` of a slot's material, read at first use; None is Cycles' default grey."""
        if material is None:
            self._notes.approximated(
                object_label,
                "a part has no material: it is shown in Cycles' default grey and cannot be fitted. "
                "Give it a material with a Principled BSDF to fit it",
            )
            name = NO_MATERIAL
            principled = versions.DEFAULT_SURFACE_IS_PRINCIPLED
            default = Material(name, editable=False) if principled else _diffuse(name, (0.8, 0.8, 0.8))
            self.materials.setdefault(name, default)
            return name
        name = material.name_full
        if name not in self.materials:
            self.materials[name] = _Reading(material, self._images, self._notes).material()
        return name


def _diffuse(name: str, rgb: tuple[float, ...]) -> Material:
    return Material(name, base_color=colour(*rgb), specular_level=scalar(0.0), editable=False)


class _Reading:
    """One pass over one material."""

    def __init__(self, material: bpy.types.Material, images: ImageReader, notes: Notes) -> None:
        self._material = material
        self._notes = notes
        self._owner = label(material)
        self._textures = TextureReader(images, notes, self._owner)

    def material(self) -> Material:
        name = self._material.name_full
        if not versions.uses_nodes(self._material):
            result = _diffuse(name, tuple(self._material.diffuse_color[:3]))
            self._notes.approximated(
                self._owner,
                "does not use nodes: its viewport colour is read, but it cannot be fitted. Turn on Use Nodes",
            )
            return result
        output = surface_output(self._material.node_tree)
        if output is None:
            self._notes.approximated(self._owner, "has no Material Output node; it is black and cannot be fitted")
            return _diffuse(name, (0.0, 0.0, 0.0))
        for socket, what in (("Volume", "volume"), ("Displacement", "displacement")):
            if follow(output.inputs[socket]).node is not None:
                self._notes.ignored(self._owner, f"{what} is left out")
        result = self._surface(follow(output.inputs["Surface"]))
        result.bump_correction = bool(versions.bump_correction(self._material))
        if self._material.library is not None:
            result.editable = False
            self._notes.approximated(
                self._owner,
                "is linked from another file and cannot be fitted. Make it local (Object > Relations > Make Local)",
            )
        return result

    def _surface(self, shader: Source) -> Material:
        name = self._material.name_full
        if shader.node is None:
            self._notes.approximated(self._owner, "no shader is connected; it is black and cannot be fitted")
            return _diffuse(name, (0.0, 0.0, 0.0))
        kind = shader.node.bl_idname
        if kind == "ShaderNodeBsdfPrincipled":
            return self._principled(shader)
        if kind == "ShaderNodeBsdfDiffuse":
            return self._diffuse_node(shader)
        if kind == "ShaderNodeEmission":
            result = _diffuse(name, (0.0, 0.0, 0.0))
            result.emission_color = self._socket(shader, "Color", 3)
            result.emission_strength = self._socket(shader, "Strength", 1)
            self._notes.add("supported", self._owner, "an Emission shader; it is rendered but not fitted")
            return result
        if kind in {"ShaderNodeBsdfAnisotropic", "ShaderNodeBsdfGlossy"}:
            return self._glossy_node(shader)
        principled = _find(shader, "ShaderNodeBsdfPrincipled")
        if principled is None:
            self._notes.approximated(self._owner, f"{shader.described} is not supported; a diffuse grey of .8 is used")
            return _diffuse(name, (0.8, 0.8, 0.8))
        self._notes.approximated(
            self._owner, f"{shader.described} is not supported; {principled.described} behind it is used alone"
        )
        return self._principled(principled)

    def _principled(self, shader: Source) -> Material:
        node = shader.node
        assert node is not None
        fields: dict[str, Any] = {
            field: self._socket(shader, socket, size)
            for socket, (field, size) in _SOCKETS.items()
            if socket in node.inputs
        }
        for socket, (neutral, instead) in _UNMODELLED.items():
            if not shader.has_input(socket):
                continue
            value = constant(shader.input(socket))
            if value is None or abs(value[0] - neutral) > 1e-6:
                self._notes.approximated(self._owner, f"{socket} is not modelled: {instead}")
        return Material(
            self._material.name_full,
            **fields,
            **self._layers(shader),
            **self._anisotropy(shader),
            normal=self._normal(shader),
            multiscatter=node.distribution == "MULTI_GGX",
            # a shader inside a group belongs to every user of that group
            editable=not shader.groups,
        )

    def _layers(self, shader: Source) -> dict[str, Any]:
        """Fields of coat and sheen, of those that are there: a layer of weight 0 is nothing to speak of."""
        fields: dict[str, Any] = {}
        for layer in ("Coat", "Sheen"):
            names = [name for name in _LAYERS if name.startswith(layer) and shader.has_input(name)]
            if not names or constant(shader.input(f"{layer} Weight")) == (0.0,):
                continue
            for name in names:
                field, size = _LAYERS[name]
                value = self._mean(shader, name, size)
                fields[field] = tuple(map(float, value)) if size == 3 else float(value[0])
        if "coat_weight" in fields and shader.has_input("Coat Normal") and shader.input("Coat Normal").node is not None:
            self._notes.approximated(self._owner, "Coat Normal: the coat is treated as smooth")
        if "coat_weight" in fields and not versions.COAT_IS_CURRENT:
            self._notes.approximated(self._owner, "Coat: it is shaded as from Blender 4.5 on, up to 3 % differently")
        return fields

    def _anisotropy(self, shader: Source) -> dict[str, Any]:
        """Fields of the grain, if there is any."""
        if not shader.has_input("Anisotropic") or constant(shader.input("Anisotropic")) == (0.0,):
            return {}
        fields: dict[str, Any] = {
            "anisotropic": float(self._mean(shader, "Anisotropic", 1)[0]),
            "anisotropic_rotation": float(self._mean(shader, "Anisotropic Rotation", 1)[0]),
        }
        source = shader.input("Tangent")
        if source.node is None:
            return fields
        node = source.node
        if node.bl_idname == "ShaderNodeTangent":
            fields["tangent"] = "UV" if node.direction_type == "UV_MAP" else f"RADIAL_{node.axis}"
            fields["tangent_uv"] = node.uv_map if node.direction_type == "UV_MAP" else ""
        else:
            self._notes.approximated(self._owner, f"Tangent: {source.described} is not supported; treated as Radial, Z")
        return fields

    def _mean(self, shader: Source, name: str, size: int) -> np.ndarray:
        """One input as a constant; a texture is replaced by its mean."""
        socket = self._socket(shader, name, size)
        if socket.texture is None:
            return socket.value
        self._notes.approximated(self._owner, f"{name}: the texture is replaced by its mean")
        return self._textures.mean(socket.texture, size)

    def _diffuse_node(self, shader: Source) -> Material:
        result = _diffuse(self._material.name_full, (0.8, 0.8, 0.8))
        result.base_color = self._socket(shader, "Color", 3)
        result.normal = self._normal(shader)
        if constant(shader.input("Roughness")) != (0.0,):
            self._notes.approximated(self._owner, f"Roughness of {shader.described} is treated as 0 (Lambert)")
        self._notes.add("supported", self._owner, "a Diffuse BSDF; it is rendered but not fitted")
        return result

    def _glossy_node(self, shader: Source) -> Material:
        result = _diffuse(self._material.name_full, (0.8, 0.8, 0.8))
        result.base_color = self._socket(shader, "Color", 3)
        result.roughness = self._socket(shader, "Roughness", 1)
        result.metallic = scalar(1.0)
        result.normal = self._normal(shader)
        assert shader.node is not None
        result.multiscatter = shader.node.distribution == "MULTI_GGX"
        self._notes.approximated(
            self._owner,
            f"{shader.described} is treated as metal: it brightens towards grazing angles; it is not fitted",
        )
        return result

    def _socket(self, shader: Source, name: str, size: int) -> Socket:
        """One input as constant or texture; what is neither is named and its default value used."""
        source = shader.input(name)
        value = constant(source)
        texture = None
        assert shader.node is not None
        default = shader.node.inputs[name].default_value
        if value is None:
            texture = self._textures.read(source)
            if texture is None and source.node is not None and source.node.bl_idname != "ShaderNodeTexImage":
                self._notes.approximated(
                    self._owner, f"{name}: {source.described} is not supported; the socket's default value is used"
                )
            value = tuple(default[:3]) if size == 3 else (float(default),)
        return Socket(_components(value, size), texture)

    def _normal(self, shader: Source) -> NormalMap | None:
        source = shader.input("Normal")
        for _ in range(10):
            if source.node is None:
                return None
            if source.node.bl_idname != "ShaderNodeBump":
                break
            self._notes.ignored(self._owner, f"{source.described}: bump is left out")
            source = source.input("Normal")
        node = source.node
        assert node is not None
        if node.bl_idname != "ShaderNodeNormalMap" or node.space != "TANGENT":
            self._notes.ignored(
                self._owner, f"Normal: {source.described} is not a tangent-space Normal Map; normals stay unchanged"
            )
            return None
        texture_source = source.input("Color")
        texture = self._textures.read(texture_source)
        if texture is None:
            if texture_source.node is not None:
                self._notes.ignored(
                    self._owner, f"Normal: {texture_source.described} is no image texture; normals stay unchanged"
                )
            return None
        strength = constant(source.input("Strength"))
        if strength is None:
            self._notes.approximated(
                self._owner, f"Strength of {source.described} is linked; its default value is used"
            )
            strength = (float(node.inputs["Strength"].default_value),)
        if versions.normal_map_is_directx(node):
            self._notes.approximated(
                self._owner, f"{source.described}: green-down (DirectX) is read as green-up (OpenGL)"
            )
        return NormalMap(texture, float(strength[0]))


def _components(value: tuple[float, ...], size: int) -> np.ndarray:
    """A constant as the socket sees it: numbers spread to colours, colours become Rec.709 luminance."""
    if len(value) == size:
        return np.array(value, np.float32)
    if size == 3:
        return np.full(3, value[0], np.float32)
    return np.array([0.2126 * value[0] + 0.7152 * value[1] + 0.0722 * value[2]], np.float32)


def _find(source: Source, kind: str, depth: int = 0) -> Source | None:
    """The first node of a kind behind a shader node."""
    if source.node is None or depth > 20:
        return None
    if source.node.bl_idname == kind:
        return source
    for socket in source.node.inputs:
        if socket.type == "SHADER":
            found = _find(follow(socket, source.groups), kind, depth + 1)
            if found is not None:
                return found
    return None
