# SPDX-License-Identifier: GPL-3.0-or-later
"""Material node trees -> :class:`engine.scene.Material`: the opaque Principled BSDF.

What the engine does not model (transmission, subsurface, …) gets a note where it is not at its neutral value; what no
array can be computed for is baked by Cycles. Traps handled here: sockets are addressed by name, because their number
changes between versions; a material without nodes is a diffuse surface of its viewport colour; an empty slot is Cycles'
default surface, another one in 5.0 than before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import bpy

from ..engine.scene import Material, Mesh, NormalMap, Socket, Texture
from . import bake_material, versions
from .displacement import Displacement, Displacements, read_displacement
from .nodes import Source, constant, follow, surface_output
from .notes import Notes, label
from .read_image import DERIVED, ImageReader
from .read_inputs import Baked, InputReader
from .read_shader import ShaderReader, plain
from .write_material import own_principled

NO_MATERIAL = "(no material)"
_ROUNDING = 1e-3  # of the UV map
_ROUNDS = 3  # of baking: mixing what was baked may ask for more


class MaterialReader:
    """Reads every material once; the values of :attr:`materials` become ``Scene.materials``."""

    def __init__(self, images: ImageReader, notes: Notes) -> None:
        self.materials: dict[str, Material] = {}
        self.displacements = Displacements()
        self.unknown: set[str] = set()  # materials whose shader is not understood, so that another stands for it
        self._images = images
        self._notes = notes
        self._incomplete: dict[str, tuple[_Reading, Notes]] = {}  # what waits for baking

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
            default = Material(name, editable=False) if principled else plain(name, (0.8, 0.8, 0.8))
            self.materials.setdefault(name, default)
            return name
        name = material.name_full
        if name not in self.materials:
            notes = Notes()
            reading = _Reading(material, self._images, notes)
            self.materials[name] = reading.material()
            self._keep_displacement(name, reading)
            if reading.unknown:
                self.unknown.add(name)
            if reading.wanted:
                self._incomplete[name] = (reading, notes)
            else:
                self._notes.take_over(notes)
        return name

    def finish(
        self, meshes: list[Mesh], depsgraph: bpy.types.Depsgraph, texture_size: int | None, only: str | None = None
    ) -> None:
        """Bake what the materials of ``meshes``, or ``only`` one, wait for; with None as ``texture_size`` only say what
        would be."""
        count = sum(len(reading.wanted) for name, (reading, _) in self._incomplete.items() if only in {None, name})
        for name, (reading, notes) in self._incomplete.items():
            if texture_size is not None and only in {None, name}:
                users = [mesh for mesh in meshes if name in mesh.material_names]
                size = bake_material.bake_size(texture_size, count)
                self.materials[name], notes = self._baked(reading, users, depsgraph, size)
                if size < texture_size:
                    notes.approximated(
                        label(reading.datablock),
                        f"{count} inputs are baked in this scene: at {size} x {size} instead of "
                        f"{texture_size} x {texture_size}, to save time and memory",
                    )
            self._notes.take_over(notes)
        self._incomplete.clear()
        used = {texture.image for material in self.materials.values() for texture in _textures(material)}
        heights = (displacement.height.texture for displacement in self.displacements.materials.values())
        used |= {texture.image for texture in heights if texture is not None}
        for image in [key for key in self._images.images if key.startswith(DERIVED) and key not in used]:
            del self._images.images[image]  # a step on the way

    def _baked(
        self, reading: _Reading, users: list[Mesh], depsgraph: bpy.types.Depsgraph, size: int
    ) -> tuple[Material, Notes]:
        material = reading.datablock
        with_uv = list(dict.fromkeys(mesh.object_name for mesh in users if mesh.active_uv is not None))
        without = next((mesh.object_name for mesh in users if mesh.active_uv is None), "")
        objects = [obj for obj in bpy.data.objects if obj.name_full in with_uv]
        baked = Baked(users=[f'"{name}"' for name in with_uv], tiled=any(map(_is_tiled, users)))
        for _ in range(_ROUNDS):
            if not reading.wanted:
                break
            if not objects:
                baked.failure = f'object "{without}" has no UV map. Unwrap it (UV > Smart UV Project)'
            else:
                try:
                    wanted = list(dict.fromkeys(reading.wanted))
                    baked.pixels |= bake_material.bake(material, wanted, objects, depsgraph, size, baked.tiled)
                except RuntimeError as error:
                    baked.failure = f"Blender could not ({str(error).strip()})"
            notes = Notes()
            reading = _Reading(material, self._images, notes, baked)
            result = reading.material()
            self._keep_displacement(material.name_full, reading)
        return result, notes

    def _keep_displacement(self, name: str, reading: _Reading) -> None:
        if reading.displacement is not None:
            self.displacements.materials[name] = reading.displacement


def _is_tiled(mesh: Mesh) -> bool:
    """Whether the active UV map leaves the unit square by more than rounding."""
    if mesh.active_uv is None:
        return False
    uv = mesh.uv_maps[mesh.active_uv]
    return bool(uv.min() < -_ROUNDING or uv.max() > 1 + _ROUNDING)


def _textures(material: Material) -> Iterator[Texture]:
    values = (getattr(material, field.name) for field in fields(material))
    for value in values:
        if isinstance(value, Socket | NormalMap) and value.texture is not None:
            yield value.texture


class _Reading:
    """One pass over one material."""

    def __init__(
        self, material: bpy.types.Material, images: ImageReader, notes: Notes, baked: Baked | None = None
    ) -> None:
        self.datablock = material
        self.unknown = False
        self.displacement: Displacement | None = None
        self._notes = notes
        self._owner = label(material)
        self._inputs = InputReader(material, images, notes, baked)
        self._shaders = ShaderReader(material, self._inputs, notes)

    @property
    def wanted(self) -> list[bake_material.Bake]:
        """What has to be baked before the material is complete."""
        return self._inputs.wanted

    def material(self) -> Material:
        name = self.datablock.name_full
        if not versions.uses_nodes(self.datablock):
            result = plain(name, tuple(self.datablock.diffuse_color[:3]))
            self._notes.approximated(
                self._owner,
                "does not use nodes: its viewport colour is read, but it cannot be fitted. Turn on Use Nodes",
            )
            return result
        output = surface_output(self.datablock.node_tree)
        if output is None:
            self._notes.approximated(self._owner, "has no Material Output node; it is black and cannot be fitted")
            return plain(name, (0.0, 0.0, 0.0))
        if follow(output.inputs["Volume"]).node is not None:
            self._notes.ignored(self._owner, "volume is left out")
        result = self._surface(follow(output.inputs["Surface"]))
        result.bump_correction = bool(versions.bump_correction(self.datablock))
        self._displace(result, output)
        if self.datablock.library is not None:
            result.editable = False
            self._notes.approximated(
                self._owner,
                "is linked from another file and cannot be fitted. Make it local (Object > Relations > Make Local)",
            )
        return result

    def _displace(self, result: Material, output: bpy.types.Node) -> None:
        """Read what is linked to Displacement; what bends normals does so where no other node does."""
        source = follow(output.inputs["Displacement"])
        method = versions.displacement_method(self.datablock)
        self.displacement = read_displacement(source, method, self._inputs, self._notes, self._owner)
        if source.node is None or method != "BUMP" or not _varies(source):
            return
        bent = self._inputs.normal_of_displacement(Source(output, None, None))
        if bent is not None and result.normal is None:
            result.normal, result.bump_correction = bent, False  # for Cycles this is the smooth normal
        if result.coat_normal is None:
            result.coat_normal = bent

    def _surface(self, shader: Source) -> Material:
        name = self.datablock.name_full
        if shader.node is None:
            self._notes.approximated(self._owner, "no shader is connected; it is black and cannot be fitted")
            return plain(name, (0.0, 0.0, 0.0))
        found = self._shaders.read(shader)
        if found is not None:
            # one of several mixed shaders cannot show what was fitted for all
            found.editable = found.editable and own_principled(self.datablock) is not None
            return found
        self.unknown = True
        principled = _find(shader, "ShaderNodeBsdfPrincipled")
        if principled is None:
            self._notes.approximated(self._owner, f"{shader.described} is not supported; a diffuse grey of .8 is used")
            return plain(name, (0.8, 0.8, 0.8))
        self._notes.approximated(
            self._owner, f"{shader.described} is not supported; {principled.described} behind it is used alone"
        )
        return self._shaders.principled(principled)


def _varies(displacement: Source) -> bool:
    """Whether a displacement may differ from place to place."""
    node = displacement.node
    assert node is not None
    return node.bl_idname != "ShaderNodeDisplacement" or constant(displacement.input("Height")) is None


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
