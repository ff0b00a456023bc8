# SPDX-License-Identifier: GPL-3.0-or-later
"""All meshes of a scene merged into device arrays, with a ray tracer over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import warp as wp

from .errors import SceneError
from .rays import RayTracer, ray_tracer
from .scene import Mesh, Scene

DEFAULT_MATERIAL = ""  # key of the grey that an object without material gets


@wp.struct
class GeometryArrays:
    """What kernels see of the geometry; corner c of triangle t is at index 3 t + c."""

    positions: wp.array(dtype=wp.vec3)
    indices: wp.array(dtype=wp.int32)
    normals: wp.array(dtype=wp.vec3)
    uvs: wp.array2d(dtype=wp.vec2)  # [uv slot, corner]
    material: wp.array(dtype=wp.int32)  # [triangle]
    terminator: wp.array(dtype=wp.float32)  # [triangle] shadow terminator offset
    epsilon: float  # ray offset, a few float32 roundings of the scene's size


@dataclass
class Geometry:
    """Merged meshes. `arrays` goes to kernels, the numpy arrays stay for set-up work on the host."""

    device: str
    positions: np.ndarray  # [V, 3] float32
    triangles: np.ndarray  # [T, 3] int32
    normals: np.ndarray  # [T, 3, 3]
    tangents: np.ndarray  # [T, 3, 4]; zero where a mesh has no UVs
    grain: np.ndarray | None  # [T, 3, 3], see Mesh.grain
    map_normals: np.ndarray | None  # [T, 3, 3], with map_frames [T, 3, 3] of Mesh; None where no mesh has any
    map_frames: np.ndarray | None
    uvs: np.ndarray  # [S, T, 3, 2]
    material: np.ndarray  # [T] int32 index into material_names
    mesh_index: np.ndarray  # [T] int32 index into those of Scene.meshes that have triangles
    material_names: list[str]
    uv_slots: list[str | None]  # slot 0 is each mesh's active map (None)
    # triangles that rays of the camera, of shadows and of indirect light pass over [3, T]; None: all see all
    unseen: np.ndarray | None
    holdout: np.ndarray | None  # [T] bool; None where there are none
    rays: RayTracer
    arrays: GeometryArrays

    @property
    def size(self) -> float:
        """Diagonal of the bounding box in metres."""
        return float(np.linalg.norm(self.positions.max(0) - self.positions.min(0)))


def _uvs_of(mesh: Mesh, slot: str | None) -> np.ndarray:
    name = mesh.active_uv if slot is None else slot
    uvs = mesh.uv_maps.get(name) if name is not None else None
    if uvs is None:  # Cycles gives (0, 0) for a UV map that the mesh does not have
        return np.zeros((len(mesh.triangles), 3, 2), np.float32)
    return uvs


def _tangents_of(mesh: Mesh) -> np.ndarray:
    if mesh.corner_tangents is None:
        return np.zeros((len(mesh.triangles), 3, 4), np.float32)
    return mesh.corner_tangents


def _grain_of(meshes: list[Mesh]) -> np.ndarray | None:
    if all(mesh.grain is None for mesh in meshes):
        return None
    blank = [np.zeros((len(mesh.triangles), 3, 3), np.float32) if mesh.grain is None else mesh.grain for mesh in meshes]
    return np.ascontiguousarray(np.concatenate(blank), np.float32)


def _by_triangle(meshes: list[Mesh], values: list[bool]) -> np.ndarray:
    return np.repeat(values, [len(mesh.triangles) for mesh in meshes])


def _unseen(meshes: list[Mesh]) -> np.ndarray | None:
    seen = [(mesh.visible_camera, mesh.visible_shadow, mesh.visible_indirect) for mesh in meshes]
    if all(all(row) for row in seen):
        return None
    return np.stack([~_by_triangle(meshes, [row[kind] for row in seen]) for kind in range(3)])


def _holdout(scene: Scene, meshes: list[Mesh], names: list[str], material: np.ndarray) -> np.ndarray | None:
    by_shader = np.array([name in scene.materials and scene.materials[name].holdout for name in names])
    holdout = _by_triangle(meshes, [mesh.holdout for mesh in meshes]) | by_shader[material]
    return holdout if holdout.any() else None


def _map_frames(meshes: list[Mesh]) -> tuple[np.ndarray | None, np.ndarray | None]:
    if all(mesh.map_frame is None for mesh in meshes):
        return None, None
    normals = [mesh.corner_normals if mesh.map_normals is None else mesh.map_normals for mesh in meshes]
    one = np.eye(3, dtype=np.float32)
    frames = [
        np.broadcast_to(one if mesh.map_frame is None else mesh.map_frame, (len(mesh.triangles), 3, 3))
        for mesh in meshes
    ]
    return np.concatenate(normals).astype(np.float32), np.concatenate(frames).astype(np.float32)


def _check(mesh: Mesh) -> None:
    if not np.isfinite(mesh.positions).all():
        bad = int((~np.isfinite(mesh.positions).all(axis=1)).sum())
        raise SceneError(
            f'Object "{mesh.name}" has {bad} vertices that are not finite numbers; '
            "remove them (Mesh > Clean Up > Delete Loose, or fix the modifier that makes them)"
        )


def build_geometry(scene: Scene, device: str) -> Geometry:
    """Merge the scene's meshes and build the ray tracer on `device`.

    Raises SceneError when there is nothing to render or a vertex is not finite.
    """
    meshes = [mesh for mesh in scene.meshes if len(mesh.triangles)]
    if not meshes:
        raise SceneError(f'Scene "{scene.name}" has no mesh that renders; add one or enable it for rendering')
    for mesh in meshes:
        _check(mesh)
    material_names = [DEFAULT_MATERIAL, *scene.materials]
    number = {name: index for index, name in enumerate(material_names)}
    uv_slots: list[str | None] = [None]
    for name in sorted({name for mesh in meshes for name in mesh.uv_maps}):
        uv_slots.append(name)

    first_vertex = np.cumsum([0, *(len(mesh.positions) for mesh in meshes)])
    positions = np.concatenate([mesh.positions for mesh in meshes]).astype(np.float32)
    triangles = np.concatenate([mesh.triangles + first_vertex[i] for i, mesh in enumerate(meshes)]).astype(np.int32)
    normals = np.concatenate([mesh.corner_normals for mesh in meshes]).astype(np.float32)
    tangents = np.concatenate([_tangents_of(mesh) for mesh in meshes]).astype(np.float32)
    uvs = np.stack([np.concatenate([_uvs_of(mesh, slot) for mesh in meshes]) for slot in uv_slots]).astype(np.float32)
    material = np.concatenate(
        [
            np.array([number.get(name, 0) for name in mesh.material_names] or [0], np.int32)[mesh.material_index]
            for mesh in meshes
        ]
    )
    mesh_index = np.concatenate([np.full(len(mesh.triangles), i, np.int32) for i, mesh in enumerate(meshes)])
    terminator = np.concatenate([np.full(len(m.triangles), m.terminator_offset, np.float32) for m in meshes])

    arrays = GeometryArrays()
    arrays.positions = wp.array(positions, dtype=wp.vec3, device=device)
    arrays.indices = wp.array(triangles.ravel(), dtype=wp.int32, device=device)
    arrays.normals = wp.array(normals.reshape(-1, 3), dtype=wp.vec3, device=device)
    arrays.uvs = wp.array(uvs.reshape(len(uv_slots), -1, 2), dtype=wp.vec2, device=device)
    arrays.material = wp.array(material, dtype=wp.int32, device=device)
    arrays.terminator = wp.array(terminator, dtype=wp.float32, device=device)
    extent = float(np.abs(positions).max())
    arrays.epsilon = max(extent, 1e-3) * 2e-6
    return Geometry(
        device,
        positions,
        triangles,
        normals,
        tangents,
        _grain_of(meshes),
        *_map_frames(meshes),
        uvs,
        material,
        mesh_index,
        material_names,
        uv_slots,
        _unseen(meshes),
        _holdout(scene, meshes, material_names, material),
        ray_tracer(torch.from_numpy(positions).to(device), triangles),
        arrays,
    )
