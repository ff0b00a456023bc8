# SPDX-License-Identifier: GPL-3.0-or-later
"""Other starts for a camera whose own is too far away: a coarse grid of views, each put where it matches the photo."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.spatial.transform import Rotation

from ..camera import Projection
from ..scene import Camera
from .rig import moved
from .sights import Sight

# Degrees about the pivot, in so many directions; degrees of roll; factors of the distance.
_TILTS, _DIRECTIONS, _ROLLS, _DISTANCES = (12.0, 25.0), 6, (0.0, 16.0, -16.0), (1.0, 0.8, 1.25)
# A render must lie in the photo at least to this share of what it shows.
_LEAST_INSIDE = 0.5


def other_starts(sight: Sight, camera: Camera, pivot: np.ndarray, number: int, count: int) -> list[Camera]:
    """The `count` best of the grid, at the level `number` of the photo.

    Each is turned until things lie where they are in the photo (by cross-correlation): aim may be wrong by any angle.
    """
    base = camera
    if float(sight.shown(camera, number).pixels[..., 3].sum()) < 1.0:
        base = replace(camera, matrix=aimed(camera.matrix, pivot))
    photo, mask = sight.pictures(number)
    found: list[tuple[float, Camera]] = []
    for tilt, roll, distance in product(_tilts(), _ROLLS, _DISTANCES):
        pose = np.zeros(6)
        pose[:3] = (Rotation.from_rotvec([0, 0, np.radians(roll)]) * Rotation.from_rotvec(tilt)).as_rotvec()
        pose[5] = np.log(distance)
        candidate = replace(base, matrix=moved(base.matrix, pivot, pose))
        shown = sight.shown(candidate, number).pixels
        score, shift = _best_shift(sight, shown, photo, mask)
        found.append((score, replace(candidate, matrix=_shifted(sight.projection(candidate, number), shift))))
    found.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in found[:count]]


def aimed(matrix: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The camera turned, on its place, to look at a point; as little rolled against world z as can be."""
    place = matrix[:3, 3]
    back = place - at
    length = float(np.linalg.norm(back))
    back = back / length if length > 1e-9 else matrix[:3, 2]
    side = np.cross([0.0, 0.0, 1.0], back)
    if np.linalg.norm(side) < 1e-6:
        side = np.cross(matrix[:3, 1], back)
    side /= np.linalg.norm(side)
    out = np.array(matrix, np.float64)
    out[:3, :3] = np.stack([side, np.cross(back, side), back], axis=1)
    return out


def _tilts() -> list[np.ndarray]:
    """Rotation vectors: none, and the tilts in all directions."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    return [np.zeros(3)] + [
        np.radians(tilt) * np.array([np.cos(angle), np.sin(angle), 0.0]) for tilt in _TILTS for angle in angles
    ]


def _best_shift(sight: Sight, shown: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """The smallest mean squared difference over all whole shifts of the render, and the shift (x, y)."""
    total: np.ndarray | float = 0.0
    if sight.shaded:
        support = shown[..., 4]
        if not (support > 0).any():
            return np.inf, np.zeros(2)
        ours, theirs = shown[..., :3], photo
        if sight.clues.gains:
            ours, theirs = _normalised(ours, support), _normalised(theirs, mask)
        inside = _correlate(support, mask)
        squares = sum(
            _correlate(support * ours[..., c] ** 2, mask)
            - 2 * _correlate(support * ours[..., c], mask * theirs[..., c])
            + _correlate(support, mask * theirs[..., c] ** 2)
            for c in range(3)
        )
        enough = inside > _LEAST_INSIDE * min(float(support.sum()), float(mask.sum()))
        spread = float(np.var(theirs[mask > 0.5], axis=0).sum()) if (mask > 0.5).any() else 1.0
        total = np.where(enough, squares / np.maximum(inside, 1e-9) / max(spread, 1e-6), 1e6)
    if sight.masked:
        outline = shown[..., 3]
        squares = float((outline**2).sum() + (mask**2).sum()) - 2 * _correlate(outline, mask)
        total = total + squares / max(float(mask.sum()), 1e-9)
    assert isinstance(total, np.ndarray), "a sight without colours and without mask"
    place = np.unravel_index(int(np.argmin(total)), total.shape)
    shift = np.array([place[1], place[0]], np.float64)
    size = np.array([total.shape[1], total.shape[0]])
    return float(total[place]), np.where(shift > size / 2, shift - size, shift)


def _correlate(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Sum over p of ours(p) theirs(p + s) for all shifts s, wrapped; pictures are taken to be 0 outside."""
    shape = [next_fast_len(2 * side) for side in ours.shape]
    return irfft2(np.conj(rfft2(ours, shape)) * rfft2(theirs, shape), shape)


def _normalised(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    inside = weight > 0.5
    if inside.sum() < 2:
        return picture
    values = picture[inside]
    return (picture - values.mean(0)) / max(float(values.std()), 1e-6)


def _shifted(projection: Projection, shift: np.ndarray) -> np.ndarray:
    """The camera's matrix turned on its place (orthographic: moved) until what it sees has moved by `shift` pixels."""
    matrix = np.array(projection.camera.matrix, np.float64)
    across, up = shift[0] / projection.focal[0], shift[1] / projection.focal[1]
    if projection.camera.kind == "ORTHO":
        matrix[:3, 3] -= matrix[:3, :3] @ np.array([across, up, 0.0])
        return matrix
    turn = Rotation.from_rotvec([np.arctan(up), 0.0, 0.0]) * Rotation.from_rotvec([0.0, -np.arctan(across), 0.0])
    matrix[:3, :3] = matrix[:3, :3] @ turn.as_matrix().T
    return matrix
