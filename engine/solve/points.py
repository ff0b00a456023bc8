# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera from pairs of points: places in the scene and where a photo shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from ..camera import Projection
from ..errors import UsageError
from ..scene import Camera
from .least_squares import Residuals, run, solve
from .rig import Rig
from .starts import aimed

_LEAST = {False: 4, True: 6}  # pairs; the latter where the lens is looked for, too
# Pairs that agree lie within this share of the photo's width of where the camera shows them.
_AGREE = 0.02
_ROLLS = (0.0, 90.0, 180.0, 270.0)
_TRY, _FINISH = 8, 60  # steps from each start, and from the best ones
# Residuals are pixels; a click is no better than this.
_HUBER = 10.0


@dataclass
class _Pairs:
    """The reprojection errors as a term of the solver."""

    unknowns: Sequence[int]
    rig: Rig
    size: tuple[int, int]
    world: np.ndarray
    pixels: np.ndarray
    huber: float = _HUBER

    def measure(self, values: np.ndarray, slopes: bool) -> Residuals:
        """See least_squares.Term. What lies behind the camera is as wrong as can be."""
        places = Projection.of(self.rig.camera("", values), *self.size).project(self.world)
        off = np.where(places[:, 2:] > 1e-9, places[:, :2] - self.pixels, 10.0 * max(self.size))
        return Residuals(np.clip(off, -1e6, 1e6).ravel())


def camera_from_points(
    camera: Camera, size: tuple[int, int], world: np.ndarray, pixels: np.ndarray, lens: bool = False
) -> tuple[Camera, np.ndarray]:
    """The camera that shows points [n, 3] of the scene at `pixels` [n, 2] (x right, y up from the lower left corner) of
    a photo of that size (width, height), and the distances [n] in pixels that are left.

    `camera` gives the lens, with `lens` a first guess of it, and a first guess of the place, which may be anywhere.
    Raises UsageError for too few pairs, for points on a line, and for pairs that contradict each other.
    """
    world, pixels = np.asarray(world, np.float64), np.asarray(pixels, np.float64)
    least = _LEAST[lens]
    if len(world) != len(pixels) or len(world) < least or not np.isfinite(world).all() or not np.isfinite(pixels).all():
        raise UsageError(f"A camera from points needs at least {least} pairs of a point in the scene and its pixel.")
    middle = world.mean(0)
    extent = np.linalg.svd(world - middle, compute_uv=False)
    if extent[1] < 1e-3 * extent[0]:
        raise UsageError("The points lie on one line, around which the camera could be anywhere; add one beside it.")
    free = ("camera", "lens") if lens else ("camera",)

    def settled(start: Camera, iterations: int) -> tuple[float, Camera]:
        rig = Rig.of({"": start}, {"": middle}, {"": free})
        term = _Pairs(range(len(rig.unknowns)), rig, size, world, pixels)
        found = run(solve(rig.unknowns, [term], iterations=iterations, tolerance=1e-6))
        return found.cost, rig.camera("", found.values)

    tried = []
    for start in _starts(camera, middle, float(extent[0]), size):
        tried.append(settled(start, _TRY))
        if tried[-1][0] < 0.5 * len(world):  # about a pixel off: it will not get better elsewhere
            break
    tried.sort(key=lambda one: one[0])
    result = min((settled(start, _FINISH) for _, start in tried[:2]), key=lambda one: one[0])[1]
    off = np.linalg.norm(Projection.of(result, *size).project(world)[:, :2] - pixels, axis=1)
    if not np.isfinite(off).all() or np.median(off) > _AGREE * size[0] or off.max() > 2 * _AGREE * size[0]:
        worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        raise UsageError(
            f"The pairs of points contradict each other: no camera shows them all. Pair {worst + 1} is off the most, "
            f"by {off[worst]:.0f} pixels; look at it, and whether the photo is mirrored."
        )
    return result, off


def _starts(camera: Camera, middle: np.ndarray, extent: float, size: tuple[int, int]) -> list[Camera]:
    """The given camera, then views of the points from all around."""
    focal = Projection.of(camera, *size).focal[0]
    distance = extent * focal / (0.5 * size[0]) if camera.kind == "PERSP" else 3 * extent
    starts = [camera]
    for direction in product((-1.0, 0.0, 1.0), repeat=3):
        if np.count_nonzero(direction) not in (1, 3):  # faces and corners of a cube
            continue
        matrix = np.array(camera.matrix, np.float64)
        matrix[:3, 3] = middle + distance * np.array(direction) / np.linalg.norm(direction)
        matrix = aimed(matrix, middle)
        for roll in _ROLLS:
            turned = matrix.copy()
            turned[:3, :3] = matrix[:3, :3] @ Rotation.from_euler("z", roll, degrees=True).as_matrix()
            starts.append(replace(camera, matrix=turned))
    return starts
