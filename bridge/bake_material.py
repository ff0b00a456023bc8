# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that the reader does not understand, baked by Cycles onto the UV maps of the objects that show them.

Copies of objects and material are baked in a scene of their own, so that nothing of the artist's is touched: neither
datablocks nor selection, mode or engine. Traps handled here: Cycles' margin of one object overwrites its neighbours
in a shared image, so there is none and holes are filled afterwards; every slot must have an image to bake to; a
mesh in Edit Mode, or that is linked or made by modifiers, is baked as an evaluated copy; a camera ray does not exist
while baking, so what depends on one is given its value for a camera that looks straight at the surface.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
import numpy as np

from . import versions
from .nodes import group_output, surface_output

_NAME = "Likeness bake"
_LARGEST = 4096  # texels along an edge of a baked texture
_TOTAL = 64 * 1024**2  # texels that one reading of a scene may bake; beyond, textures become smaller
_MARGIN = 4  # texels at the rim of what is baked that continue it; farther ones are coarser
_VIEW_OUTPUTS = {"Is Camera Ray": 1.0}  # of Light Path; all others are 0


@dataclass(frozen=True)
class Bake:
    """An input of a shader node, to be baked: the colour or number that it gets, or the normal in tangent space."""

    groups: tuple[str, ...]  # names of the group nodes around the shader, outermost first
    node: str
    socket: str
    size: int  # 1: as a number, 3: as a colour
    normal: bool = False


def bake_size(wanted: int, count: int) -> int:
    """The edge of ``count`` baked textures, halved until all of them stay within bounds."""
    size = min(wanted, _LARGEST)
    while size > 64 and size * size * count > _TOTAL:
        size //= 2
    return size


def bake(
    material: bpy.types.Material,
    inputs: list[Bake],
    objects: list[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    size: int,
    tiled: bool = False,
) -> dict[Bake, np.ndarray]:
    """Linear pixels [size, size, 3] of each input, on the active render UV maps of ``objects``, row 0 at the bottom.

    Normals are 0.5 + n / 2. What no object covers is filled from around it. ``tiled``: UV maps leave the unit square;
    each face is baked at the place where a repeated texture shows it. Raises RuntimeError where Blender cannot bake
    now, e.g. while it is rendering, and where UV maps have no area.
    """
    result = {}
    with _stage(material, objects, depsgraph, size, tiled) as stage:
        for wanted in inputs:
            result[wanted] = stage.bake(wanted)
    return result


class _Stage:
    """A scene with copies of the objects, ready to be baked to one image."""

    def __init__(self, original: bpy.types.Material, scene: bpy.types.Scene, size: int) -> None:
        self._original = original
        self._scene = scene
        self._size = size
        self.made: list[bpy.types.ID] = []
        self.slots: list[bpy.types.MaterialSlot] = []  # that show the material
        self.uv_layers: dict[bpy.types.Object, str] = {}

    def bake(self, wanted: Bake) -> np.ndarray:
        size = self._size
        image = bpy.data.images.new(_NAME, size, size, alpha=True, float_buffer=True)
        before = set(bpy.data.node_groups)
        copy = self._original.copy()
        try:
            image.colorspace_settings.name = "Non-Color"
            image.pixels.foreach_set(np.zeros(size * size * 4, np.float32))
            _route(copy, wanted, self._distance())
            _bake_to(copy, image)
            for slot in self.slots:
                slot.material = copy
            for obj, layer in self.uv_layers.items():
                self._run(obj, layer, "NORMAL" if wanted.normal else "EMIT")
            pixels = np.empty(size * size * 4, np.float32)
            image.pixels.foreach_get(pixels)
            return _filled(pixels.reshape(size, size, 4))
        finally:
            bpy.data.materials.remove(copy)
            bpy.data.images.remove(image)
            for group in set(bpy.data.node_groups) - before:
                bpy.data.node_groups.remove(group)

    def _run(self, obj: bpy.types.Object, layer: str, kind: str) -> None:
        view_layer = self._scene.view_layers[0]
        for other in self.uv_layers:
            other.select_set(other == obj, view_layer=view_layer)
        view_layer.objects.active = obj
        chosen = [obj]
        with bpy.context.temp_override(
            scene=self._scene,
            view_layer=view_layer,
            object=obj,
            active_object=obj,
            selected_objects=chosen,
            selected_editable_objects=chosen,
        ):
            bpy.ops.object.bake(
                type=kind,
                margin=0,
                use_clear=False,
                use_selected_to_active=False,
                target="IMAGE_TEXTURES",
                save_mode="INTERNAL",
                normal_space="TANGENT",
                normal_r="POS_X",
                normal_g="POS_Y",
                normal_b="POS_Z",
                uv_layer=layer,
            )

    def _distance(self) -> float:
        """What Camera Data shows: the distance of the first object from the camera."""
        camera, obj = self._scene.camera, next(iter(self.uv_layers), None)
        if camera is None or obj is None:
            return 0.0
        return float((camera.matrix_world.translation - obj.matrix_world.translation).length)


@contextmanager
def _stage(
    material: bpy.types.Material,
    objects: list[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    size: int,
    tiled: bool,
) -> Iterator[_Stage]:
    artists = depsgraph.scene.original
    scene = bpy.data.scenes.new(_NAME)
    stage = _Stage(material, scene, size)
    try:
        scene.render.engine, scene.cycles.device = "CYCLES", "CPU"
        scene.cycles.samples = 1  # at the centre of the texel
        scene.cycles.use_denoising = False
        scene.camera = artists.camera
        # not frame_set, which would call the artist's handlers
        scene.frame_current, scene.frame_subframe = artists.frame_current, artists.frame_subframe
        nothing = bpy.data.materials.new(_NAME)
        stage.made.append(nothing)
        versions.enable_nodes(nothing)
        nowhere = bpy.data.images.new(_NAME, 1, 1)
        stage.made.append(nowhere)
        _bake_to(nothing, nowhere)
        for obj in objects:
            copy = _stand_in(stage, obj, material, depsgraph, tiled)
            if _show(stage, copy, material, nothing):
                scene.collection.objects.link(copy)
        yield stage
    finally:
        bpy.data.scenes.remove(scene)
        for datablock in reversed(stage.made):
            _remove(datablock)


def _remove(datablock: bpy.types.ID) -> None:
    kinds = {
        bpy.types.Object: bpy.data.objects,
        bpy.types.Mesh: bpy.data.meshes,
        bpy.types.Material: bpy.data.materials,
        bpy.types.Image: bpy.data.images,
    }
    next(owner for kind, owner in kinds.items() if isinstance(datablock, kind)).remove(datablock)


def _stand_in(
    stage: _Stage,
    obj: bpy.types.Object,
    material: bpy.types.Material,
    depsgraph: bpy.types.Depsgraph,
    tiled: bool,
) -> bpy.types.Object:
    """A copy of an object that may be changed."""
    if _can_be_copied(obj, material):
        copy = obj.copy()
        if tiled:
            copy.data = obj.data.copy()
            stage.made.append(copy.data)
    else:
        evaluated = obj.evaluated_get(depsgraph)
        mesh = bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=depsgraph)
        stage.made.append(mesh)
        copy = bpy.data.objects.new(_NAME, mesh)
        copy.matrix_world = obj.matrix_world
    stage.made.append(copy)
    if tiled:
        _move_into_square(copy.data)
    return copy


def _show(stage: _Stage, copy: bpy.types.Object, material: bpy.types.Material, nothing: bpy.types.Material) -> bool:
    """Let a copy show the material and nothing else; says whether it has faces and a UV map to bake."""
    layer = _uv_layer(copy.data)
    shows = [slot for slot in copy.material_slots if slot.material == material]
    if layer is None or not shows:
        return False
    for slot in copy.material_slots:
        slot.link = "OBJECT"
        slot.material = material if slot in shows else nothing
    copy.hide_render = copy.hide_viewport = copy.hide_select = False
    stage.slots += shows
    stage.uv_layers[copy] = layer.name
    return True


def _uv_layer(mesh: bpy.types.Mesh) -> bpy.types.MeshUVLoopLayer | None:
    return next((layer for layer in mesh.uv_layers if layer.active_render), None)


def _move_into_square(mesh: bpy.types.Mesh) -> None:
    """Move each face by whole tiles, so that its centre lies in the unit square of the UV map."""
    layer = _uv_layer(mesh)
    if layer is None or not mesh.polygons:
        return
    uv = np.empty((len(mesh.loops), 2), np.float32)
    layer.uv.foreach_get("vector", uv.ravel())
    count = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", count)
    # loops lie in the order of their polygons
    centre = np.add.reduceat(uv, np.concatenate([[0], count.cumsum()[:-1]])) / count[:, None]
    uv -= np.floor(centre).repeat(count, 0)
    layer.uv.foreach_set("vector", uv.ravel())


def _can_be_copied(obj: bpy.types.Object, material: bpy.types.Material) -> bool:
    """Whether a copy of the object shows the material where the object does; it keeps Generated coordinates."""
    if obj.type != "MESH" or obj.library is not None or obj.data.library is not None or obj.mode != "OBJECT":
        return False
    makes_data = any(modifier.type == "NODES" for modifier in obj.modifiers)
    return not makes_data and any(slot.material == material for slot in obj.material_slots)


def _bake_to(material: bpy.types.Material, image: bpy.types.Image) -> None:
    """Let Cycles bake what shows a material into an image."""
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    material.node_tree.nodes.active = node


def _route(copy: bpy.types.Material, wanted: Bake, distance: float) -> None:
    """Let a copy of a material show what one of its shaders' inputs gets."""
    tree = copy.node_tree
    _own_groups(tree, distance)
    trees = [tree]
    for name in wanted.groups:
        trees.append(trees[-1].nodes[name].node_tree)
    inner = trees[-1]
    socket = inner.nodes[wanted.node].inputs[wanted.socket]
    signal = next(link.from_socket for link in socket.links if link.is_valid and not link.is_muted)
    if wanted.size == 1:  # what a number input makes of a colour
        number = inner.nodes.new("ShaderNodeMath")
        number.inputs[1].default_value = 0.0
        inner.links.new(signal, number.inputs[0])
        signal = number.outputs[0]
    for outer, name in zip(trees[-2::-1], reversed(wanted.groups), strict=True):
        group = trees.pop()
        group.interface.new_socket(_NAME, in_out="OUTPUT", socket_type=_socket_type(wanted))
        end = group_output(group)
        assert end is not None
        group.links.new(signal, next(entry for entry in end.inputs if entry.name == _NAME))
        signal = next(exit_ for exit_ in outer.nodes[name].outputs if exit_.name == _NAME)
    output = surface_output(tree)
    assert output is not None
    # displacement that bends normals lies below what a shader's Normal does
    bends = wanted.normal and versions.displacement_method(copy) == "BUMP"
    for entry in output.inputs:
        for link in list(entry.links):
            if not (bends and entry.name == "Displacement"):
                tree.links.remove(link)
    copy.displacement_method = "BUMP"
    shader = tree.nodes.new("ShaderNodeBsdfDiffuse" if wanted.normal else "ShaderNodeEmission")
    if wanted.socket != "Displacement":
        tree.links.new(signal, shader.inputs["Normal" if wanted.normal else "Color"])
    tree.links.new(shader.outputs[0], output.inputs["Surface"])


def _socket_type(wanted: Bake) -> str:
    if wanted.normal:
        return "NodeSocketVector"
    return "NodeSocketFloat" if wanted.size == 1 else "NodeSocketColor"


def _own_groups(tree: bpy.types.NodeTree, distance: float) -> None:
    """Give a copied tree copies of its groups, and let all that depends on a camera ray be constant."""
    for node in list(tree.nodes):
        if node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
            node.node_tree = node.node_tree.copy()
            _own_groups(node.node_tree, distance)
        elif node.bl_idname in {"ShaderNodeLightPath", "ShaderNodeCameraData"}:
            for output in node.outputs:
                known = _VIEW_OUTPUTS.get(output.name, 0.0) if node.bl_idname == "ShaderNodeLightPath" else distance
                for link in list(output.links):
                    if output.type != "VALUE":
                        continue
                    value = tree.nodes.new("ShaderNodeValue")
                    value.outputs[0].default_value = known
                    tree.links.new(value.outputs[0], link.to_socket)


def _filled(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 3] of baked RGBA: texels without alpha take the mean of their neighbours, farther ones that of an ever
    larger square around them."""
    covered = pixels[..., 3] > 0
    if not covered.any():
        raise RuntimeError("the faces cover no texel of the UV map")
    colour = np.where(covered[..., None], pixels[..., :3], 0)
    for _ in range(_MARGIN):
        total, count = np.zeros_like(colour), np.zeros(covered.shape, np.float32)
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            total += np.roll(colour, step, axis)
            count += np.roll(covered, step, axis)
        grows = ~covered & (count > 0)
        colour[grows] = total[grows] / count[grows, None]
        covered |= grows
    return _from_coarser(colour, covered.astype(np.float32))


def _from_coarser(colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fill texels of weight 0 from the same picture at half its size, where that has colour."""
    if weight.all() or not weight.any() or min(weight.shape) == 1:
        return colour
    even = tuple((0, size % 2) for size in weight.shape)
    sums = _quartered(np.pad(colour * weight[..., None], (*even, (0, 0))))
    weights = _quartered(np.pad(weight, even))
    coarse = _from_coarser(sums / np.maximum(weights, 1e-12)[..., None], (weights > 0).astype(np.float32))
    fine = coarse.repeat(2, 0).repeat(2, 1)[: weight.shape[0], : weight.shape[1]]
    return np.where(weight[..., None] > 0, colour, fine)


def _quartered(values: np.ndarray) -> np.ndarray:
    """Sums of squares of 2 x 2."""
    return values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]
