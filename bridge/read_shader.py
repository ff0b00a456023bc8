# SPDX-License-Identifier: GPL-3.0-or-later
"""Shader nodes -> one Principled BSDF: Diffuse, Glossy, Metallic, Transparent and Emission, mixed and added.

Exact are Diffuse (Principled without specular), Metallic with F82 tint, sums with emission, mixtures with Transparent,
and mixtures of shaders that do not reflect. A mixture of others gets mixed parameters, which is named.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import bpy
import numpy as np

from ..engine.scene import Material, NormalMap, Socket, colour, scalar
from .node_maths import lerp
from .nodes import Source, constant, follow
from .notes import Notes, label
from .read_inputs import InputReader
from .read_layers import read_grain, read_layers

# Principled input -> Material field, number of components
SOCKETS = {
    "Base Color": ("base_color", 3),
    "Metallic": ("metallic", 1),
    "Roughness": ("roughness", 1),
    "IOR": ("ior", 1),
    "Specular IOR Level": ("specular_level", 1),
    "Specular Tint": ("specular_tint", 3),
    "Emission Color": ("emission_color", 3),
    "Emission Strength": ("emission_strength", 1),
    "Diffuse Roughness": ("diffuse_roughness", 1),
    "Alpha": ("alpha", 1),
    "Transmission Weight": ("transmission", 1),
    "Subsurface Weight": ("subsurface", 1),
}
# inputs outside the model: neutral value and what happens instead
_UNMODELLED = {
    "Thin Film Thickness": (0.0, "the thin film is left out"),
    "Thin Wall": (0.0, "treated as a closed surface"),
}
GLASS = (
    "Transmission: what the camera sees through glass is refracted; light passes it straight on, without "
    "caustics, and reflections inside of it are left out"
)
_GLOSSY = {"ShaderNodeBsdfAnisotropic", "ShaderNodeBsdfGlossy"}
_TRANSPARENT = "ShaderNodeBsdfTransparent"
# what Schlick's curve adds at the angle of Principled's edge tint, whose cosine is 1/7
_EDGE = (6 / 7) ** 5
_REFLECTION = ("roughness", "ior", "specular_tint")  # fields that only matter where something reflects
_SHARES = ("alpha", "transmission", "subsurface", "metallic")
_MIXED = (*_SHARES, "diffuse_roughness", "base_color", "specular_level", *_REFLECTION)


class _ApartError(Exception):
    """Textures of a mixture lie differently: all of them have to be baked onto the active UV map."""


def plain(name: str, rgb: tuple[float, ...]) -> Material:
    """A diffuse surface of one colour that cannot be fitted."""
    return Material(name, base_color=colour(*rgb), specular_level=scalar(0.0), editable=False)


class ShaderReader:
    """Turns the shaders of one material into a :class:`Material`."""

    def __init__(self, material: bpy.types.Material, inputs: InputReader, notes: Notes) -> None:
        self._name = material.name_full
        self._inputs = inputs
        self._notes = notes
        self._owner = label(material)
        self._numbers = count()  # of derived textures, so that their names differ

    def read(self, shader: Source) -> Material | None:
        """The material that a shader stands for, None where it is not known."""
        try:
            return self._read(shader, False)
        except _ApartError:
            return self._read(shader, True)

    def _read(self, shader: Source, force: bool) -> Material | None:
        if shader.node is None:
            return None
        kind = shader.node.bl_idname
        if kind == "ShaderNodeBsdfPrincipled":
            return self.principled(shader, force)
        if kind == "ShaderNodeBsdfDiffuse":
            return self._diffuse(shader, force)
        if kind == "ShaderNodeEmission":
            return self._emission(shader, force)
        if kind in _GLOSSY:
            return self._glossy(shader, force)
        if kind == "ShaderNodeBsdfMetallic":
            return self._metal(shader, force)
        if kind == _TRANSPARENT:
            return self._transparent(shader)
        if kind == "ShaderNodeBsdfGlass":
            return self._glass(shader, force)
        if kind == "ShaderNodeHoldout":
            return self._holdout()
        if kind in {"ShaderNodeMixShader", "ShaderNodeAddShader"}:
            return self._compound(shader, force)
        return None

    def principled(self, shader: Source, force: bool = False) -> Material:
        """A Principled BSDF; what is not modelled is named."""
        node = shader.node
        assert node is not None
        fields: dict[str, Any] = {
            field: self._inputs.socket(shader, socket, size, force)
            for socket, (field, size) in SOCKETS.items()
            if socket in node.inputs
        }
        for socket, (neutral, instead) in _UNMODELLED.items():
            if not shader.has_input(socket):
                continue
            value = constant(shader.input(socket))
            if value is None or abs(value[0] - neutral) > 1e-6:
                self._notes.approximated(self._owner, f"{socket} is not modelled: {instead}")
        if not _is_zero(fields["transmission"]):
            self._notes.approximated(self._owner, GLASS)
        if not _is_zero(fields["subsurface"]):
            self._notes.approximated(
                self._owner,
                "Subsurface Weight: treated as diffuse, as bright as on flat surfaces; light does not spread",
            )
        result = Material(
            self._name,
            **fields,
            **read_layers(shader, self._inputs, self._notes, self._owner),
            **read_grain(shader, self._inputs, self._notes, self._owner),
            normal=self._inputs.normal(shader),
            multiscatter=node.distribution == "MULTI_GGX",
            # a shader inside a group belongs to every user of that group
            editable=not shader.groups,
        )
        if result.emission_strength.texture is not None:  # the fit knows strength as a number
            radiance = self._radiance(result)
            result = replace(result, emission_color=radiance, emission_strength=scalar(1.0))
        return result

    def _diffuse(self, shader: Source, force: bool) -> Material:
        result = plain(self._name, (0.8, 0.8, 0.8))
        result.base_color = self._inputs.socket(shader, "Color", 3, force)
        result.normal = self._inputs.normal(shader)
        result.diffuse_roughness = self._inputs.socket(shader, "Roughness", 1, force)
        self._notes.add("supported", self._owner, "a Diffuse BSDF; it is rendered but not fitted")
        return result

    def _emission(self, shader: Source, force: bool) -> Material:
        result = plain(self._name, (0.0, 0.0, 0.0))
        result.emission_color = self._inputs.socket(shader, "Color", 3, force)
        result.emission_strength = self._inputs.socket(shader, "Strength", 1, force)
        self._notes.add("supported", self._owner, "an Emission shader; it is rendered but not fitted")
        return result

    def _glossy(self, shader: Source, force: bool) -> Material:
        result = plain(self._name, (0.8, 0.8, 0.8))
        result.base_color = self._inputs.socket(shader, "Color", 3, force)
        result.roughness = self._inputs.socket(shader, "Roughness", 1, force)
        result.metallic = scalar(1.0)
        result.normal = self._inputs.normal(shader)
        # a Glossy BSDF has one colour at all angles: the edge tint takes away what Schlick's curve adds
        result.specular_tint = self._combined("Edge", _edge_tint, result.base_color)
        assert shader.node is not None
        result.multiscatter = shader.node.distribution == "MULTI_GGX"
        self._notes.approximated(
            self._owner,
            f"{shader.described} is treated as metal: it brightens at the last few degrees; it is not fitted",
        )
        return result

    def _metal(self, shader: Source, force: bool) -> Material | None:
        """A Metallic BSDF with F82 tint: Principled's metal by another name."""
        assert shader.node is not None
        if shader.node.fresnel_type != "F82" or shader.node.distribution == "BECKMANN":
            return None
        if shader.has_input("Thin Film Thickness") and constant(shader.input("Thin Film Thickness")) != (0.0,):
            self._notes.approximated(self._owner, f"{shader.described}: the thin film is left out")
        self._notes.add("supported", self._owner, "a Metallic BSDF; it is rendered but not fitted")
        return Material(
            self._name,
            base_color=self._inputs.socket(shader, "Base Color", 3, force),
            specular_tint=self._inputs.socket(shader, "Edge Tint", 3, force),
            roughness=self._inputs.socket(shader, "Roughness", 1, force),
            metallic=scalar(1.0),
            **read_grain(shader, self._inputs, self._notes, self._owner, "Anisotropy", "Rotation"),
            normal=self._inputs.normal(shader),
            multiscatter=shader.node.distribution == "MULTI_GGX",
            editable=False,
        )

    def _transparent(self, shader: Source) -> Material:
        """A Transparent BSDF: a surface of which nothing is seen."""
        result = plain(self._name, (0.0, 0.0, 0.0))
        result.alpha = scalar(0.0)
        red, green, blue = self._inputs.mean(shader, "Color", 3).tolist()
        result.transparent_color = (red, green, blue)
        return result

    def _glass(self, shader: Source, force: bool) -> Material:
        """A Glass BSDF: its colour counts at each surface that light crosses, half of Principled's."""
        result = plain(self._name, (1.0, 1.0, 1.0))
        color = self._inputs.socket(shader, "Color", 3, force)
        result.base_color = self._combined("Glass", np.square, color)
        result.roughness = self._inputs.socket(shader, "Roughness", 1, force)
        result.ior = self._inputs.socket(shader, "IOR", 1, force)
        result.specular_level, result.specular_tint, result.transmission = scalar(0.5), color, scalar(1.0)
        result.normal = self._inputs.normal(shader)
        self._notes.approximated(self._owner, GLASS)
        return result

    def _holdout(self) -> Material:
        """A Holdout: a hole in the picture, black to all but the camera."""
        result = plain(self._name, (0.0, 0.0, 0.0))
        result.holdout = True
        return result

    def _compound(self, shader: Source, force: bool) -> Material | None:
        """A Mix or Add Shader of two shaders that are known."""
        assert shader.node is not None
        mixes = shader.node.bl_idname == "ShaderNodeMixShader"
        first, second = (follow(socket, shader.groups) for socket in shader.node.inputs if socket.type == "SHADER")
        for left_out, kept, share in ((first, second, np.multiply), (second, first, _the_rest)):
            transparent = left_out.node is not None and left_out.node.bl_idname == _TRANSPARENT
            if left_out.node is not None and not transparent:
                continue
            result = self._read(kept, force)
            if result is not None and transparent and mixes:
                result.transparent_color = self._transparent(left_out).transparent_color
                factor = self._inputs.socket(shader, shader.node.inputs[0].name, 1, force)
                result.alpha = self._combined("Alpha", share, result.alpha, factor)
            elif result is not None:
                what = left_out.described if transparent else "an input without a shader"
                self._notes.approximated(self._owner, f"{shader.described}: {what} is left out, the surface is opaque")
            return result
        if mixes and self._is_varnish(shader, first, second):
            return self._varnish(shader, first, second, force)
        one, other = self._read(first, force), self._read(second, force)
        if one is None or other is None:
            return None
        return self._mixed(shader, one, other, force) if mixes else self._added(shader, one, other)

    def _is_varnish(self, shader: Source, first: Source, second: Source) -> bool:
        """Whether a Glossy BSDF lies over a Diffuse BSDF by a Fresnel node, as Principled does it itself."""
        factor = _factor(shader)
        kinds = [source.node.bl_idname for source in (factor, first, second) if source.node is not None]
        plain_factor = len(kinds) == 3 and kinds[0] == "ShaderNodeFresnel" and constant(factor.input("IOR")) is not None
        return plain_factor and kinds[1] == "ShaderNodeBsdfDiffuse" and kinds[2] in _GLOSSY

    def _varnish(self, shader: Source, first: Source, second: Source, force: bool) -> Material:
        result, gloss = self._diffuse(first, force), self._glossy(second, force)
        index = constant(_factor(shader).input("IOR"))
        assert index is not None
        result.ior, result.specular_level = scalar(index[0]), scalar(0.5)
        result.roughness, result.specular_tint = gloss.roughness, gloss.base_color
        self._notes.approximated(
            self._owner, f"{shader.described}: Glossy over Diffuse by Fresnel is treated as one Principled BSDF"
        )
        return result

    def _mixed(self, shader: Source, one: Material, other: Material, force: bool) -> Material:
        assert shader.node is not None
        factor = self._inputs.socket(shader, shader.node.inputs[0].name, 1, force)
        factor = self._combined("Factor", lambda f: np.clip(f, 0, 1), factor)
        reflecting = [material for material in (one, other) if _reflects(material)]
        result = replace(one, normal=self._one_normal(shader, one.normal, other.normal), editable=False)
        for field in _MIXED:
            a, b = getattr(one, field), getattr(other, field)
            if field in _REFLECTION and len(reflecting) == 1:
                setattr(result, field, getattr(reflecting[0], field))
            elif not _same(a, b):
                setattr(result, field, self._combined(f"Mix {field}", lerp, a, b, factor))
        if reflecting:
            result.multiscatter = reflecting[0].multiscatter
            self._notes.approximated(
                self._owner,
                f"{shader.described}: the parameters of its shaders are mixed, which looks alike but is not the same",
            )
        if _emits(one) or _emits(other):
            radiance = self._combined("Mix emission", lerp, self._radiance(one), self._radiance(other), factor)
            result.emission_color, result.emission_strength = radiance, scalar(1.0)
        return result

    def _added(self, shader: Source, one: Material, other: Material) -> Material | None:
        """The sum of two shaders, where one of them only emits or neither reflects."""
        if _is_black(one):
            one, other = other, one
        if not _is_black(other) and (_reflects(one) or _reflects(other)):
            return None
        result = replace(one, normal=self._one_normal(shader, one.normal, other.normal))
        if not _is_black(other):
            result.base_color = self._combined("Add color", np.add, one.base_color, other.base_color)
        if _emits(other):
            radiance = self._combined("Add emission", np.add, self._radiance(one), self._radiance(other))
            result.emission_color, result.emission_strength = radiance, scalar(1.0)
        return result

    def _one_normal(self, shader: Source, one: NormalMap | None, other: NormalMap | None) -> NormalMap | None:
        if one != other and not (one is not None and other is not None and one.texture.image == other.texture.image):
            self._notes.approximated(
                self._owner, f"{shader.described}: its shaders have different normals; those of one are used for all"
            )
        return one or other

    def _radiance(self, material: Material) -> Socket:
        if not _emits(material):
            return colour(0.0, 0.0, 0.0)
        return self._combined("Radiance", np.multiply, material.emission_color, material.emission_strength)

    def _combined(self, name: str, function: Any, *sockets: Socket) -> Socket:
        sizes = [len(socket.value) for socket in sockets]
        key = f"{name} {next(self._numbers)}"
        result = self._inputs.derived.combine(list(sockets), function, key, sizes)
        if result is None:
            raise _ApartError
        return result


def _the_rest(alpha: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return alpha * (1 - np.clip(factor, 0, 1))


def _edge_tint(reflectance: np.ndarray) -> np.ndarray:
    return reflectance / np.maximum(reflectance + (1 - reflectance) * _EDGE, 1e-6)


def _factor(shader: Source) -> Source:
    """What feeds the factor of a Mix Shader."""
    assert shader.node is not None
    return follow(shader.node.inputs[0], shader.groups)


def _same(a: Socket, b: Socket) -> bool:
    return a.texture is None and b.texture is None and np.array_equal(a.value, b.value)


def _is_zero(socket: Socket) -> bool:
    return socket.texture is None and not socket.value.any()


def _reflects(material: Material) -> bool:
    return not (_is_zero(material.metallic) and _is_zero(material.specular_level))


def _emits(material: Material) -> bool:
    return not (_is_zero(material.emission_strength) or _is_zero(material.emission_color))


def _is_black(material: Material) -> bool:
    return _is_zero(material.base_color) and not _reflects(material)
