# SPDX-License-Identifier: GPL-3.0-or-later
"""Tangents for normal maps on triangles, after M. S. Mikkelsen, "Simulation of Wrinkled Surfaces Revisited" (2008).

Blender's own ``Mesh.calc_tangents`` refuses n-gons and Cycles computes tangents on triangles anyway, so they are
computed here on the triangulated mesh: a triangle's tangent is the direction of growing u; a corner gets the
angle-weighted mean, in the plane of its normal, of all triangles that share its position, normal, UV and orientation.
"""

from __future__ import annotations

import numpy as np


def _normalised(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-20)


def _groups(positions: np.ndarray, normals: np.ndarray, uv: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Index of the group of equal corners, [T * 3]."""
    corners = positive.size * 3
    keys = np.concatenate(
        [
            positions.reshape(corners, 3),
            normals.reshape(corners, 3),
            uv.reshape(corners, 2),
            np.repeat(positive, 3)[:, None],
        ],
        axis=1,
    ).astype(np.float32)
    keys += 0.0  # -0 and 0 are the same corner
    rows = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1].reshape(-1)


def corner_tangents(positions: np.ndarray, normals: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Tangent and bitangent sign of every corner.

    ``positions`` [T, 3, 3], ``normals`` [T, 3, 3] (unit) and ``uv`` [T, 3, 2] of triangle corners; all in one space.
    Returns [T, 3, 4] float32: a unit tangent perpendicular to the normal and the sign s of the bitangent
    s (normal x tangent). Triangles without UV area take the tangents of their neighbours, else an arbitrary one.
    """
    position64, normal64, uv64 = (np.asarray(values, np.float64) for values in (positions, normals, uv))
    edge1, edge2 = position64[:, 1] - position64[:, 0], position64[:, 2] - position64[:, 0]
    (u1, v1), (u2, v2) = (uv64[:, 1] - uv64[:, 0]).T, (uv64[:, 2] - uv64[:, 0]).T
    area = u1 * v2 - u2 * v1
    positive = area > 0
    face_tangent = _normalised((v2[:, None] * edge1 - v1[:, None] * edge2) * np.where(positive, 1.0, -1.0)[:, None])
    face_tangent[area == 0] = 0

    tangent = face_tangent[:, None, :]
    projected = _normalised(tangent - normal64 * (tangent * normal64).sum(-1, keepdims=True))
    to_next = np.roll(position64, -1, axis=1) - position64
    to_previous = np.roll(position64, 1, axis=1) - position64

    def in_plane(vectors: np.ndarray) -> np.ndarray:
        return _normalised(vectors - normal64 * (vectors * normal64).sum(-1, keepdims=True))

    cosine = (in_plane(to_next) * in_plane(to_previous)).sum(-1)
    weight = np.arccos(np.clip(cosine, -1, 1))

    group = _groups(positions, normals, uv, positive)
    count = int(group.max()) + 1 if group.size else 0
    summed = np.stack(
        [np.bincount(group, (projected[..., axis] * weight).ravel(), count) for axis in range(3)], axis=-1
    )
    result = _normalised(summed)[group].reshape(normal64.shape)
    missing = np.linalg.norm(result, axis=-1) < 0.5
    if missing.any():
        result[missing] = _any_perpendicular(normal64[missing])
    sign = np.broadcast_to(np.where(positive, 1.0, -1.0)[:, None, None], (*result.shape[:2], 1))
    return np.concatenate([result, sign], axis=-1).astype(np.float32)


def _any_perpendicular(normals: np.ndarray) -> np.ndarray:
    axis = np.where(np.abs(normals[:, :1]) < 0.9, np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]]))
    return _normalised(np.cross(normals, axis))
