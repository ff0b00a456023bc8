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
from ..shading.gather import SampleCounts
from .rig import moved
from .sights import Sight

# Degrees about the pivot, in so many directions; degrees of roll; factors of the distance.
_TILTS, _DIRECTIONS, _ROLLS, _DISTANCES = (12.0, 25.0), 6, (0.0, 16.0, -16.0), (1.0, 0.8, 1.25)
_QUICK = SampleCounts(light=1, environment=1, bsdf=1, bounces=0)
# A render must lie in the photo at least to this share of what it shows.
_LEAST_INSIDE = 0.3
# Where less than this share of all contrast lies in what overlaps, agreement counts little.
_FLAT = 0.1


def other_starts(sight: Sight, camera: Camera, pivot: np.ndarray, number: int, count: int) -> list[Camera]:
    """The `count` best of the grid, at the level `number` of the photo.

    Each is turned until things lie where they are in the photo (by cross-correlation): aim may be wrong by any angle.
    """
    base = camera
    if float(sight.shown(camera, number).pixels[..., 3].sum()) < 1.0:
        base = replace(camera, matrix=aimed(camera.matrix, pivot))
    photo, mask = sight.pictures(number)
    quick = replace(sight.looker, counts=_QUICK)
    found: list[tuple[float, Camera]] = []
    for tilt, roll, distance in product(_tilts(), _ROLLS, _DISTANCES):
        pose = np.zeros(6)
        pose[:3] = (Rotation.from_rotvec([0, 0, np.radians(roll)]) * Rotation.from_rotvec(tilt)).as_rotvec()
        pose[5] = np.log(distance)
        candidate = replace(base, matrix=moved(base.matrix, pivot, pose))
        shown = sight.shown(candidate, number, looker=quick).pixels
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
    """How badly the render agrees with the photo at the best of all whole shifts, and that shift (x, y)."""
    total: np.ndarray | float = 0.0
    if sight.shaded:
        support = shown[..., 4]
        if not (support > 0).any():
            return np.inf, np.zeros(2)
        total = 1.0 - _agreement(shown[..., :3], support, photo, mask)
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


def _agreement(ours: np.ndarray, support: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Correlation coefficient of the colours where both are known, for all shifts; low where there is little to see."""
    count = np.maximum(_correlate(support, mask), 1e-6)
    product, spreads = 0.0, [0.0, 0.0]
    for c in range(3):
        a, b = support * ours[..., c], mask * theirs[..., c]
        sums = _correlate(a, mask), _correlate(support, b)
        product = product + _correlate(a, b) - sums[0] * sums[1] / count
        squares = _correlate(a * ours[..., c], mask), _correlate(support, b * theirs[..., c])
        spreads = [spread + part - own**2 / count for spread, part, own in zip(spreads, squares, sums, strict=True)]
    floors = [_FLAT * max(float(np.max(spread)), 1e-9) for spread in spreads]
    scale = np.sqrt(
        np.prod([np.maximum(spread, 0.0) + floor for spread, floor in zip(spreads, floors, strict=True)], 0)
    )
    enough = count > _LEAST_INSIDE * min(float(support.sum()), float(mask.sum()))
    return np.where(enough, product / scale, -1.0)


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
