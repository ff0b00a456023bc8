# SPDX-License-Identifier: GPL-3.0-or-later
"""True displacement: vertices moved as Cycles moves them (docs/blender-image-formation.md §3.6).

Cycles evaluates the displacement once a vertex, at the corner of the first triangle there whose material has any, along
the normal of that corner: the smooth one, or the triangle's own where it is flat. Normals follow from the moved
triangles. Displacement that only bends normals is baked, see read_inputs.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..engine.color import srgb_decode
from ..engine.scene import Image, Mesh, Socket, Texture
from .nodes import Source
from .notes import Notes
from .read_inputs import InputReader
from .tangents import corner_tangents


@dataclass
class Displacement:
    """A Displacement node: vertices move by (height - midlevel) scale along the normal."""

    height: Socket
    midlevel: float
    scale: float
    in_object_space: bool


@dataclass
class Placed:
    """What a world-space mesh does not tell about the object that it was made of."""

    linear: np.ndarray  # [3, 3] object to world
    smooth: np.ndarray  # [T] bool, shaded smooth


@dataclass
class Displacements:
    """What a scene's displacement needs; filled while materials and meshes are read."""

    materials: dict[str, Displacement] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)  # by Mesh.name

    def apply(self, meshes: list[Mesh], images: dict[str, Image]) -> None:
        """Move the vertices of the meshes whose materials are displaced."""
        for mesh in meshes:
            found = [self.materials.get(name) for name in mesh.material_names]
            if any(displacement is not None for displacement in found):
                _displace(mesh, self.placed[mesh.name], found, images)


def read_displacement(
    source: Source, method: str, inputs: InputReader, notes: Notes, owner: str
) -> Displacement | None:
    """What feeds a Material Output's Displacement, None where it moves nothing or is not understood."""
    node = source.node
    if node is None or method == "BUMP":
        return None
    if node.bl_idname != "ShaderNodeDisplacement":
        notes.ignored(owner, f"{source.described} as displacement is left out. Use a Displacement node")
        return None
    if source.input("Normal").node is not None:
        notes.approximated(owner, f"{source.described}: its Normal is not read; vertices move along the mesh's normals")
    if method == "BOTH":
        notes.approximated(
            owner, f"{source.described} moves vertices; the bumps that are finer than the mesh are left out"
        )
    return Displacement(
        inputs.socket(source, "Height", 1),
        float(inputs.mean(source, "Midlevel", 1)[0]),
        float(inputs.mean(source, "Scale", 1)[0]),
        node.space == "OBJECT",
    )


def _displace(mesh: Mesh, placed: Placed, found: list[Displacement | None], images: dict[str, Image]) -> None:
    positions = mesh.positions.astype(np.float64)
    normals = _corner_normals(mesh, placed.smooth)
    has = np.array([displacement is not None for displacement in found])[mesh.material_index]
    corner = np.flatnonzero(has.repeat(3))
    # np.unique returns the first corner of each vertex
    vertex, first = np.unique(mesh.triangles.ravel()[corner], return_index=True)
    corner = corner[first]
    triangle, normal = corner // 3, normals.reshape(-1, 3)[corner]
    for index, displacement in enumerate(found):
        part = mesh.material_index[triangle] == index
        if displacement is None or not part.any():
            continue
        height = _heights(displacement.height, mesh, corner[part], images)
        along = normal[part]
        if displacement.in_object_space:
            along = _unit(along @ placed.linear) @ placed.linear.T
        positions[vertex[part]] += along * ((height - displacement.midlevel) * displacement.scale)[:, None]
    mesh.positions = positions.astype(np.float32)
    moved = np.isin(mesh.triangles, vertex).any(axis=1)
    normals = _corner_normals(mesh, placed.smooth)
    mesh.corner_normals = np.where(moved[:, None, None], normals, mesh.corner_normals).astype(np.float32)
    if mesh.active_uv is not None:
        corners, uv = mesh.positions[mesh.triangles], mesh.uv_maps[mesh.active_uv]
        mesh.corner_tangents = corner_tangents(corners, mesh.corner_normals, uv)
        mesh.map_normals = mesh.map_frame = None


def _corner_normals(mesh: Mesh, smooth: np.ndarray) -> np.ndarray:
    """Normals [T, 3, 3] as Cycles gives them to displaced meshes: a vertex has the mean of its triangles' normals."""
    corners = mesh.positions.astype(np.float64)[mesh.triangles]
    face = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    total = np.zeros((len(mesh.positions), 3))
    for k in range(3):
        np.add.at(total, mesh.triangles[:, k], face)
    return np.where(smooth[:, None, None], _unit(total)[mesh.triangles], face[:, None])


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-30)


def _heights(socket: Socket, mesh: Mesh, corner: np.ndarray, images: dict[str, Image]) -> np.ndarray:
    """Heights [n] at corners of triangles (flat indices)."""
    texture = socket.texture
    if texture is None:
        return np.full(len(corner), socket.value[0], np.float64)
    uv_map = texture.uv_map if texture.uv_map in mesh.uv_maps else mesh.active_uv
    uv = np.zeros((len(corner), 2)) if uv_map is None else mesh.uv_maps[uv_map].reshape(-1, 2)[corner]
    matrix = np.asarray(texture.uv_matrix, np.float64)
    return _looked_up(images[texture.image], texture, uv @ matrix[:, :2].T + matrix[:, 2])


def _looked_up(image: Image, texture: Texture, uv: np.ndarray) -> np.ndarray:
    """Numbers [n] that an Image Texture node gives at texture coordinates [n, 2]."""
    height, width = image.pixels.shape[:2]
    place = uv * (width, height)
    if texture.interpolation == "Closest":
        rgba = _texels(image, texture.extension, np.floor(place).astype(int))
    else:
        low = np.floor(place - 0.5).astype(int)
        fx, fy = (place - 0.5 - low).T[..., None]
        rows = []
        for y in (0, 1):
            left, right = (_texels(image, texture.extension, low + np.array((x, y))) for x in (0, 1))
            rows.append(left * (1 - fx) + right * fx)
        rgba = rows[0] * (1 - fy) + rows[1] * fy
    if texture.channel == 3:
        return rgba[:, 3]
    rgb = srgb_decode(rgba[:, :3]) if image.encoding == "sRGB" else rgba[:, :3]
    return rgb @ (0.2126, 0.7152, 0.0722) if texture.channel is None else rgb[:, texture.channel]


def _texels(image: Image, extension: str, index: np.ndarray) -> np.ndarray:
    """Stored RGBA [n, 4] float64 of texels (column, row), which may lie outside."""
    size = np.array(image.pixels.shape[1::-1])
    inside = ((index >= 0) & (index < size)).all(axis=1)
    if extension == "REPEAT":
        index = index % size
    elif extension == "MIRROR":
        index = index % (2 * size)
        index = np.where(index >= size, 2 * size - 1 - index, index)
    else:
        index = index.clip(0, size - 1)
    rgba = image.pixels[index[:, 1], index[:, 0]].astype(np.float64)
    return np.where(inside[:, None], rgba, 0.0) if extension == "CLIP" else rgba
