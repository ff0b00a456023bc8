# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluated objects -> triangulated world-space meshes.

Traps handled here (docs/blender-image-formation.md §6): curves, surfaces, text and metaballs appear in the depsgraph a
second time as meshes; matrices of instances are only valid inside the loop; flat faces shade with the normal of the
*triangle*, not of the polygon; Cycles bakes the transform of an object that alone uses its mesh (normals are
normalised, then interpolated), but interpolates in object space where a mesh has several users; a mirroring
transform turns the winding around.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..engine.errors import SceneError
from ..engine.scene import Material, Mesh
from . import versions
from .displacement import Placed
from .notes import Notes, label
from .read_material import MaterialReader
from .read_visibility import read_visibility
from .tangents import corner_tangents

_EVEN = 1e-4  # relative differences of scale that are rounding
_FARTHEST = 1e15  # metres; products of larger coordinates overflow
_AS_MESH = {"CURVE", "SURFACE", "FONT", "META"}  # come again as MESH instances where they have a surface
_WITHOUT_SURFACE = {"EMPTY", "ARMATURE", "LATTICE", "CAMERA", "LIGHT", "SPEAKER"}


@dataclass
class _LocalMesh:
    """An evaluated mesh in object space; read once for all its instances."""

    positions: np.ndarray  # [V, 3]
    triangles: np.ndarray  # [T, 3]
    normals: np.ndarray  # [T, 3, 3]
    uv_maps: dict[str, np.ndarray]
    active_uv: str | None
    material_index: np.ndarray  # [T]
    tangents: np.ndarray | None  # [T, 3, 4]
    smooth: np.ndarray  # [T] bool


@dataclass
class _Instance:
    name: str
    original: bpy.types.Object
    matrix: np.ndarray  # [4, 4] float64
    local: _LocalMesh
    material_names: list[str]
    material_index: np.ndarray  # [T]
    users_key: int
    grains: list[str]  # of each material, see _grain_kind
    generated: np.ndarray | None  # [V, 3], where there is any grain
    visibility: dict[str, bool]  # see read_visibility


def read_meshes(depsgraph: bpy.types.Depsgraph, materials: MaterialReader, notes: Notes) -> list[Mesh]:
    """All visible surfaces of a depsgraph. Raises :class:`SceneError` for NaN or infinite vertices, by object name."""
    locals_: dict[int, _LocalMesh] = {}
    instances: list[_Instance] = []
    counts: dict[str, int] = {}
    for item in depsgraph.object_instances:
        obj = item.object
        original = obj.original
        if not item.show_self:
            continue
        if obj.type != "MESH":
            if obj.type not in _AS_MESH | _WITHOUT_SURFACE and not _is_probe(obj):
                notes.ignored(original, f"objects of type {obj.type.replace('_', ' ').title()} are not rendered")
            continue
        key = obj.data.as_pointer()
        if key not in locals_:
            locals_[key] = _read_local(obj, original)
            _check_object(original, notes)
        local = locals_[key]
        if not len(local.triangles):
            continue
        counts[original.name_full] = counts.get(original.name_full, 0) + 1
        number = counts[original.name_full]
        name = original.name_full if number == 1 else f"{original.name_full} #{number}"
        slots = _slot_materials(obj)
        # Cycles gives faces of a slot that does not exist the last one
        used, material_index = np.unique(np.minimum(local.material_index, len(slots) - 1), return_inverse=True)
        names = [materials.key(slots[slot], label(original)) for slot in used]
        matrix = np.array(item.matrix_world, np.float64)
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-30:
            notes.ignored(original, "is scaled to zero along an axis and left out")
            continue
        _check_tangents(original, local, [materials.materials[name] for name in names], notes)
        grains = [_grain_kind(materials.materials[name]) for name in names]
        generated = _generated(obj.data) if any(grains) else None
        material_index = material_index.astype(np.int32)
        instancer = item.parent.original if item.is_instance else None
        visibility = read_visibility(original, instancer, depsgraph, notes)
        instances.append(
            _Instance(name, original, matrix, local, names, material_index, key, grains, generated, visibility)
        )
    for instance in instances:
        linear = instance.matrix[:3, :3]
        materials.displacements.placed[instance.name] = Placed(linear, instance.local.smooth)
    users: dict[int, int] = {}
    for instance in instances:
        users[instance.users_key] = users.get(instance.users_key, 0) + 1
    return [_to_world(instance, users[instance.users_key] > 1) for instance in instances]


def _grain_kind(material: Material) -> str:
    """What the grain of a material follows; "" without any."""
    return material.tangent if material.anisotropic > 0.0 else ""


def _generated(mesh: bpy.types.Mesh) -> np.ndarray:
    """Generated texture coordinates of the vertices about their centre [V, 3]."""
    places = _values(mesh.vertices, "undeformed_co", (3,), np.float32)
    size = np.maximum(np.abs(np.array(mesh.texspace_size, np.float64)), 1e-20)
    return (places - np.array(mesh.texspace_location, np.float64)) / (2.0 * size)


def _grain(instance: _Instance, normal_matrix: np.ndarray) -> np.ndarray | None:
    """Tangents [T, 3, 3] for anisotropic materials, in the order of the local triangles; None without any."""
    local = instance.local
    if instance.generated is None:
        return None
    grain = np.zeros((len(local.triangles), 3, 3), np.float32)
    for row, kind in enumerate(instance.grains):
        part = instance.material_index == row
        if kind == "UV" and local.tangents is not None:
            grain[part] = local.tangents[part, :, :3] @ normal_matrix.T
        elif kind.startswith("RADIAL_"):
            axis = np.eye(3)["XYZ".index(kind[-1])]
            around = np.cross(axis, instance.generated[local.triangles[part]])
            grain[part] = around @ normal_matrix.T
    return grain


def _check_tangents(obj: bpy.types.Object, local: _LocalMesh, materials: list[Material], notes: Notes) -> None:
    both = (normal for material in materials for normal in (material.normal, material.coat_normal))
    maps = [normal for normal in both if normal is not None]
    for normal in maps:
        if normal.texture.uv_map not in (None, local.active_uv):
            notes.approximated(
                obj, f'normal map on UV map "{normal.texture.uv_map}": the tangents are those of the active UV map'
            )
    for material in materials:
        if _grain_kind(material) == "UV" and material.tangent_uv not in ("", local.active_uv):
            notes.approximated(
                obj, f'anisotropy along UV map "{material.tangent_uv}": the tangents are those of the active UV map'
            )


def _stretch(matrix: np.ndarray) -> float:
    """Largest scale over smallest scale of a transform; 1 for a uniform one."""
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    return float(scales[0] / scales[-1])


def _is_probe(obj: bpy.types.Object) -> bool:
    return obj.type == "LIGHT_PROBE"


def _check_object(obj: bpy.types.Object, notes: Notes) -> None:
    """Object settings that change a Cycles render and that the engine does not know."""
    if versions.terminator_shading_offset(obj) > 0.0:
        notes.approximated(obj, "Shadow Terminator Shading Offset is treated as 0; the Geometry Offset counts")
    for modifier in obj.modifiers:
        if modifier.type == "SUBSURF" and modifier.show_render and versions.uses_adaptive_subdivision(obj, modifier):
            notes.approximated(
                obj, f'modifier "{modifier.name}": adaptive subdivision is done at its fixed render level'
            )
        if modifier.type == "NODES" and modifier.show_render and _asks_for_viewport(modifier.node_group):
            notes.approximated(obj, f'modifier "{modifier.name}": its Is Viewport node says yes, a render would say no')
        if modifier.type == "PARTICLE_SYSTEM" and modifier.particle_system.settings.render_type in {"PATH", "HALO"}:
            notes.ignored(obj, f'particle system "{modifier.particle_system.name}": hair is not rendered')


def _asks_for_viewport(tree: bpy.types.NodeTree | None) -> bool:
    if tree is None:
        return False
    return any(
        node.bl_idname == "GeometryNodeIsViewport"
        or (node.bl_idname == "GeometryNodeGroup" and _asks_for_viewport(node.node_tree))
        for node in tree.nodes
    )


def _slot_materials(obj: bpy.types.Object) -> list[bpy.types.Material | None]:
    """Original material of each slot; at least one entry.

    Slots win over the mesh's list because a slot may be linked to the object.
    """
    slots = [slot.material for slot in obj.material_slots] or list(obj.data.materials) or [None]
    return [material.original if material is not None else None for material in slots]


def _read_local(obj: bpy.types.Object, original: bpy.types.Object) -> _LocalMesh:
    mesh = obj.data
    temporary = mesh.is_editmode
    if temporary:  # an evaluated mesh in edit mode has no faces of its own
        mesh = obj.to_mesh()
    try:
        return _mesh_arrays(mesh, label(original))
    finally:
        if temporary:
            obj.to_mesh_clear()


def _values(collection: bpy.types.bpy_prop_collection, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    values: np.ndarray = np.empty((len(collection), *shape), dtype)
    collection.foreach_get(name, values.ravel())
    return values


def _mesh_arrays(mesh: bpy.types.Mesh, owner: str) -> _LocalMesh:
    mesh.calc_loop_triangles()
    positions = _values(mesh.vertices, "co", (3,), np.float32)
    usable = (np.abs(positions) < _FARTHEST).all(axis=1)  # False for NaN
    if not usable.all():
        raise SceneError(
            f"{owner} has {int((~usable).sum())} vertices at NaN or infinite positions. "
            "Delete them, or remove the modifier that makes them"
        )
    triangles = _values(mesh.loop_triangles, "vertices", (3,), np.int32)
    corners = _values(mesh.loop_triangles, "loops", (3,), np.int32)
    polygon = _values(mesh.loop_triangles, "polygon_index", (), np.int32)
    material = _values(mesh.polygons, "material_index", (), np.int32)[polygon]
    smooth = _values(mesh.polygons, "use_smooth", (), bool)[polygon]
    normals = _values(mesh.corner_normals, "vector", (3,), np.float32)[corners]
    corner_positions = positions[triangles]
    normals = _with_flat_faces(normals, corner_positions, smooth)
    uv_maps = {layer.name: _values(layer.uv, "vector", (2,), np.float32)[corners] for layer in mesh.uv_layers}
    active = next((layer.name for layer in mesh.uv_layers if layer.active_render), None)
    tangents = None
    if active is not None and len(triangles):
        tangents = corner_tangents(corner_positions, normals, uv_maps[active])
    return _LocalMesh(positions, triangles, normals, uv_maps, active, material, tangents, smooth)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-30)


def _face_normals(corner_positions: np.ndarray) -> np.ndarray:
    edge1 = corner_positions[:, 1] - corner_positions[:, 0]
    edge2 = corner_positions[:, 2] - corner_positions[:, 0]
    return _unit(np.cross(edge1, edge2))


def _with_flat_faces(normals: np.ndarray, corner_positions: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    flat = ~smooth
    if flat.any():
        normals[flat] = _face_normals(corner_positions[flat])[:, None, :]
    return normals


def _to_world(instance: _Instance, shared: bool) -> Mesh:
    """Move a local mesh to world space with Cycles' rule for normals.

    Shared meshes keep the length that the transform gives their normals (1 on average), because Cycles interpolates
    them in object space; it matters with non-uniform scale only. Tangents keep their length relative to the normal
    for the same reason. Normal maps are always applied in object space: see Mesh.map_normals.
    """
    local, matrix = instance.local, instance.matrix
    linear = matrix[:3, :3]
    determinant = np.linalg.det(linear)
    normal_matrix = np.linalg.inv(linear).T
    positions = (local.positions @ linear.T + matrix[:3, 3]).astype(np.float32)
    triangles = local.triangles
    uv_maps, tangents = local.uv_maps, local.tangents
    unscaled = normals = local.normals @ normal_matrix.T
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    scale = np.maximum(lengths.mean() if shared else lengths, 1e-30)
    normals = normals / scale
    map_normals = map_frame = None
    if tangents is not None:
        if _stretch(matrix) > 1 + _EVEN:
            scale = np.float64(lengths.mean())
            map_normals = unscaled / scale
            map_frame = (scale / abs(np.linalg.det(normal_matrix)) * normal_matrix @ normal_matrix.T).astype(np.float32)
        directions = tangents[..., :3] @ normal_matrix.T / scale
        sign = tangents[..., 3:] * np.sign(determinant)
        tangents = np.concatenate([directions, sign], axis=-1).astype(np.float32)
    grain = _grain(instance, normal_matrix)
    if determinant < 0:
        order = [0, 2, 1]
        grain = None if grain is None else grain[:, order]
        triangles, normals = triangles[:, order], normals[:, order]
        map_normals = None if map_normals is None else map_normals[:, order]
        uv_maps = {name: uv[:, order] for name, uv in uv_maps.items()}
        tangents = None if tangents is None else tangents[:, order]
    return Mesh(
        name=instance.name,
        positions=positions,
        triangles=np.ascontiguousarray(triangles),
        corner_normals=np.ascontiguousarray(normals, np.float32),
        uv_maps=uv_maps,
        active_uv=local.active_uv,
        material_names=instance.material_names,
        material_index=instance.material_index,
        corner_tangents=tangents,
        map_normals=None if map_normals is None else np.ascontiguousarray(map_normals, np.float32),
        map_frame=map_frame,
        grain=grain,
        object_name=instance.original.name_full,
        terminator_offset=versions.terminator_offset(instance.original),
        **instance.visibility,
    )
