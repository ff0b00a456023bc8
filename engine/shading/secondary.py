# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials as indirect light looks them up where a ray meets a surface.

Indirect light is smooth, so textures are decoded, reduced to at most 256 texels a side (reduction.py), and looked up at
the nearest texel; the directly visible surface uses the exact lookups of materials.py.
"""

from __future__ import annotations

import numpy as np
import torch
import warp as wp

from ..geometry import GeometryArrays
from ..scene import Texture
from .coat import LayerSockets, largest, read_sockets

# Texture rows of a material
BASE_COLOR = wp.constant(0)
METALLIC = wp.constant(1)
ROUGHNESS = wp.constant(2)
EMISSION = wp.constant(3)
TEXTURES = 4
CONSTANTS = 23
_EXTENSIONS = {"REPEAT": 0, "EXTEND": 1, "CLIP": 2, "MIRROR": 3}


@wp.struct
class MaterialArrays:
    """constants [M, 23]: base, metallic, roughness, ior, level, tint, emission radiance, layer sockets (layers.py);
    textures of each material."""

    constants: wp.array2d(dtype=wp.float32)
    # [M, TEXTURES, 5]: first value in `pool` (-1: no texture), width, height, uv slot, extension
    textures: wp.array3d(dtype=wp.int32)
    uv_matrix: wp.array3d(dtype=wp.float32)  # [M, TEXTURES, 6]
    pool: wp.array(dtype=wp.float32)  # three values a texel
    live: wp.array2d(dtype=wp.int32)  # [M, TEXTURES] first row of fitted textures in live_texels.py, -1 for others
    lively: int  # 1 if there is any
    glowing: int  # 1 if any material may emit light


@wp.struct
class Surface:
    """A surface point that a ray has met."""

    position: wp.vec3
    geometric: wp.vec3  # towards the ray's origin
    normal: wp.vec3  # smooth, on the same side
    base: wp.vec3
    metallic: float
    roughness: float
    ior: float
    level: float
    tint: wp.vec3
    emission: wp.vec3
    layered: int  # 1 if there is coat or sheen
    layers: LayerSockets


@wp.func
def _wrap(i: int, n: int, extension: int):
    result = wp.clamp(i, 0, n - 1)
    if extension == 0:
        result = i % n
        if result < 0:
            result += n
    elif extension == 3:
        m = i
        if i < 0:
            m = -i - 1
        m = m % (2 * n)
        result = m
        if m >= n:
            result = 2 * n - 1 - m
    return result


@wp.func
def texel_of(materials: MaterialArrays, material: int, which: int, uv: wp.vec2):
    """Number of the texel of a texture at texture coordinates of its UV map; -1 outside of one that is clipped."""
    width = materials.textures[material, which, 1]
    height = materials.textures[material, which, 2]
    extension = materials.textures[material, which, 4]
    u = (
        materials.uv_matrix[material, which, 0] * uv[0]
        + materials.uv_matrix[material, which, 1] * uv[1]
        + materials.uv_matrix[material, which, 2]
    )
    v = (
        materials.uv_matrix[material, which, 3] * uv[0]
        + materials.uv_matrix[material, which, 4] * uv[1]
        + materials.uv_matrix[material, which, 5]
    )
    x = int(wp.floor(u * float(width)))
    y = int(wp.floor(v * float(height)))
    texel = int(-1)
    if not (extension == 2 and (x < 0 or y < 0 or x >= width or y >= height)):
        texel = _wrap(y, height, extension) * width + _wrap(x, width, extension)
    return texel


@wp.func
def _texel(materials: MaterialArrays, material: int, which: int, uv: wp.vec2, fallback: wp.vec3):
    result = fallback
    first = materials.textures[material, which, 0]
    if first >= 0:
        texel = texel_of(materials, material, which, uv)
        result = wp.vec3(0.0, 0.0, 0.0)
        if texel >= 0:
            at = first + 3 * texel
            result = wp.vec3(materials.pool[at], materials.pool[at + 1], materials.pool[at + 2])
    return result


@wp.func
def uv_at(geometry: GeometryArrays, slot: int, face: int, a: float, b: float, c: float):
    """Texture coordinates at the weights a, b, c of a face's corners."""
    return (
        geometry.uvs[slot, 3 * face] * a + geometry.uvs[slot, 3 * face + 1] * b + geometry.uvs[slot, 3 * face + 2] * c
    )


@wp.func
def sockets_of(materials: MaterialArrays, m: int):
    """A surface of material m without its textures."""
    c = materials.constants
    s = Surface()
    s.base = wp.vec3(c[m, 0], c[m, 1], c[m, 2])
    s.metallic = wp.clamp(c[m, 3], 0.0, 1.0)
    s.roughness = wp.clamp(c[m, 4], 0.0, 1.0)
    s.ior = c[m, 5]
    s.level = c[m, 6]
    s.tint = wp.vec3(c[m, 7], c[m, 8], c[m, 9])
    s.emission = wp.vec3(c[m, 10], c[m, 11], c[m, 12])
    s.layers = read_sockets(c, m, 13)
    if s.layers.coat > 0.0 or largest(s.layers.sheen) > 0.0:
        s.layered = 1
    return s


@wp.func
def surface_at(geometry: GeometryArrays, materials: MaterialArrays, face: int, u: float, v: float, ray: wp.vec3):
    """The surface at Warp's barycentric (u, v) of a face, met by a ray with unit direction `ray`."""
    w = 1.0 - u - v
    p0 = geometry.positions[geometry.indices[3 * face]]
    p1 = geometry.positions[geometry.indices[3 * face + 1]]
    p2 = geometry.positions[geometry.indices[3 * face + 2]]
    s = Surface()
    s.position = p0 * u + p1 * v + p2 * w
    s.geometric = wp.normalize(wp.cross(p1 - p0, p2 - p0))
    s.normal = wp.normalize(
        geometry.normals[3 * face] * u + geometry.normals[3 * face + 1] * v + geometry.normals[3 * face + 2] * w
    )
    if wp.dot(s.geometric, s.normal) < 0.0:
        s.geometric = -s.geometric
    if wp.dot(s.geometric, ray) > 0.0:
        s.geometric = -s.geometric
        s.normal = -s.normal
    m = geometry.material[face]
    sockets = sockets_of(materials, m)
    s.base = sockets.base
    uv = uv_at(geometry, materials.textures[m, BASE_COLOR, 3], face, u, v, w)
    s.base = _texel(materials, m, BASE_COLOR, uv, s.base)
    uv = uv_at(geometry, materials.textures[m, METALLIC, 3], face, u, v, w)
    value = _texel(materials, m, METALLIC, uv, wp.vec3(sockets.metallic, 0.0, 0.0))
    s.metallic = wp.clamp(value[0], 0.0, 1.0)
    uv = uv_at(geometry, materials.textures[m, ROUGHNESS, 3], face, u, v, w)
    value = _texel(materials, m, ROUGHNESS, uv, wp.vec3(sockets.roughness, 0.0, 0.0))
    s.roughness = wp.clamp(value[0], 0.0, 1.0)
    s.ior = sockets.ior
    s.level = sockets.level
    s.tint = sockets.tint
    uv = uv_at(geometry, materials.textures[m, EMISSION, 3], face, u, v, w)
    s.emission = wp.cw_mul(sockets.emission, _texel(materials, m, EMISSION, uv, wp.vec3(1.0, 1.0, 1.0)))
    s.layers = sockets.layers
    s.layered = sockets.layered
    return s


@wp.func
def smooth_origin(geometry: GeometryArrays, face: int, u: float, v: float, position: wp.vec3, side: float):
    """The point lifted to the tangent planes of its triangle's corners, so that facets cast no shadow on themselves.

    Hanika, "Hacking the Shadow Terminator", Ray Tracing Gems II (2021), ch. 4. `side` is -1 where the ray met the
    back. Flat faces are left alone because their corner normals are the face's.
    """
    w = 1.0 - u - v
    lifted = position
    n0 = geometry.normals[3 * face] * side
    n1 = geometry.normals[3 * face + 1] * side
    n2 = geometry.normals[3 * face + 2] * side
    d0 = wp.min(wp.dot(position - geometry.positions[geometry.indices[3 * face]], n0), 0.0)
    d1 = wp.min(wp.dot(position - geometry.positions[geometry.indices[3 * face + 1]], n1), 0.0)
    d2 = wp.min(wp.dot(position - geometry.positions[geometry.indices[3 * face + 2]], n2), 0.0)
    return lifted - n0 * (d0 * u) - n1 * (d1 * v) - n2 * (d2 * w)


class MaterialTable:
    """Builds MaterialArrays row by row."""

    def __init__(self, materials: int, device: str) -> None:
        self._device = device
        self._constants = np.zeros((materials, CONSTANTS), np.float32)
        self._textures = np.full((materials, TEXTURES, 5), -1, np.int32)
        self._textures[..., 1:] = 0
        self._live = np.full((materials, TEXTURES), -1, np.int32)
        self._live_texels = 0
        self._matrix = np.zeros((materials, TEXTURES, 6), np.float32)
        self._pool: list[torch.Tensor] = []
        self._used = 0

    def set_constants(self, row: int, values: np.ndarray) -> None:
        """The constants of a material, see MaterialArrays."""
        self._constants[row] = values

    def set_texture(
        self, row: int, which: int, pixels: torch.Tensor, texture: Texture, uv_slot: int, live: bool = False
    ) -> None:
        """A decoded texture [H, W, 1 or 3] of a material, reduced before (reduction.py); `live`: see live_texels.py."""
        height, width = pixels.shape[:2]
        if live:
            self._live[row, which] = self._live_texels
            self._live_texels += width * height
        self._textures[row, which] = self._used, width, height, uv_slot, _EXTENSIONS[texture.extension]
        self._matrix[row, which] = np.asarray(texture.uv_matrix, np.float32).reshape(6)
        self._pool.append(pixels.expand(height, width, 3).reshape(-1).to(torch.float32))
        self._used += 3 * width * height

    def arrays(self) -> MaterialArrays:
        """Copy everything to the device."""
        arrays = MaterialArrays()
        arrays.constants = wp.array(self._constants, dtype=wp.float32, device=self._device)
        arrays.textures = wp.array(self._textures, dtype=wp.int32, device=self._device)
        arrays.uv_matrix = wp.array(self._matrix, dtype=wp.float32, device=self._device)
        arrays.live = wp.array(self._live, dtype=wp.int32, device=self._device)
        arrays.lively = int(self._live_texels > 0)
        pool = torch.cat(self._pool) if self._pool else torch.zeros(3)
        arrays.pool = wp.array(pool.cpu().numpy(), dtype=wp.float32, device=self._device)
        arrays.glowing = int((self._constants[:, 10:13] > 0).any())
        return arrays
