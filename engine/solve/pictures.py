# SPDX-License-Identifier: GPL-3.0-or-later
"""Residuals from pictures: what is shown for some values, minus a photo.

Where things move, pictures change by what brightness constancy says: what was seen at one place is seen at another, so
the slope of a pixel is minus the picture's gradient times the speed at which things move there (Lucas and Kanade 1981).
One render gives the slopes of all unknowns that move things. Over an outline it is the nearer surface that moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from .least_squares import Residuals

# Neighbouring residuals of a square of so many pixels err together.
_TILE = 12
# Central differences of places in the picture, in steps of the unknowns; they are smooth.
_NUDGE = 0.01


@dataclass
class Shown:
    """A picture of the scene, and what is seen where."""

    pixels: np.ndarray  # [H, W, C]
    points: np.ndarray  # [H, W, 3] world space: nearest surface in or beside the pixel; far away where there is none
    mesh: np.ndarray  # [H, W] int32 index of the mesh that they belong to, -1: none


@dataclass
class PictureTerm:
    """A photo [H, W, C] compared with what `show` makes of values; see least_squares.Term.

    `move` says where points [n, 3] of meshes [n] are seen for values: [n, 2] pixels, y up; None: nothing moves.
    `appearance`: positions among the unknowns that change the picture otherwise too (light); their slopes come from
    renders. `blur` (pixels) is taken of both pictures: it widens the basin. `gains`: a factor and an offset for each of
    the first three channels are found along with the unknowns (light that is not known).
    """

    unknowns: Sequence[int]
    target: np.ndarray  # [H, W, C]
    weight: np.ndarray  # [H, W, C] >= 0
    show: Callable[[np.ndarray], Shown]
    move: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None
    steps: np.ndarray  # [k] of the unknowns
    huber: float = 0.1
    blur: float = 0.0
    gains: bool = False
    appearance: Sequence[int] = ()
    nudges: np.ndarray | None = None  # [k] of central differences of appearance
    last: Shown | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._present = self.weight > 0
        known = self._blurred(np.where(self._present, 1.0, 0.0))
        self._scale = 1.0 / np.maximum(known, 1e-3)
        self._root = np.sqrt(np.where(self._present, self.weight, 0.0))
        self._target = self._smooth(self.target)
        tiles = np.indices(self.target.shape[:2]) // _TILE
        group = tiles[0] * (int(tiles[1].max()) + 1) + tiles[1]
        self._group = np.repeat(group.ravel(), self.target.shape[2])

    def measure(self, values: np.ndarray, slopes: bool) -> Residuals:
        """See least_squares.Term."""
        shown = self.show(values)
        self.last = shown
        smooth = self._smooth(shown.pixels)
        factor, bases = self._exposed(smooth)
        residuals = (smooth * factor[0] + factor[1] - self._target) * self._root
        if not slopes:
            return Residuals(residuals.ravel())
        columns = self._motion(values, shown) if self.move is not None else []
        if not columns:
            columns = [np.zeros_like(residuals) for _ in self.unknowns]
        for k in self.appearance:
            columns[k] = self._rendered(values, k)
        columns = [self._without_gains(column * factor[0] * self._root, bases) for column in columns]
        return Residuals(residuals.ravel(), np.stack([column.ravel() for column in columns], axis=1), self._group)

    def _motion(self, values: np.ndarray, shown: Shown) -> list[np.ndarray]:
        assert self.move is not None
        up, across = np.gradient(shown.pixels, axis=(0, 1))
        # where a picture is flat nothing is seen to move
        busy = (np.abs(up) + np.abs(across)).max(-1) > 1e-6
        points, mesh = shown.points[busy], shown.mesh[busy]
        columns = []
        for k, step in enumerate(self.steps):
            nudge = np.zeros(len(values))
            nudge[k] = _NUDGE * step
            ends = [self.move(values + sign * nudge, points, mesh) for sign in (1, -1)]
            speed = (ends[0] - ends[1]) / (2 * nudge[k])
            column = np.zeros_like(shown.pixels)
            column[busy] = -(across[busy] * speed[:, :1] + up[busy] * speed[:, 1:])
            columns.append(self._smooth(column))
        return columns

    def _rendered(self, values: np.ndarray, k: int) -> np.ndarray:
        assert self.nudges is not None, "unknowns that change appearance need nudges"
        nudge = np.zeros(len(values))
        nudge[k] = self.nudges[k]
        ahead, behind = (self._smooth(self.show(values + sign * nudge).pixels) for sign in (1, -1))
        return (ahead - behind) / (2 * nudge[k])

    def _blurred(self, picture: np.ndarray) -> np.ndarray:
        if self.blur <= 0:
            return picture
        return gaussian_filter(picture, (self.blur, self.blur, 0), mode="nearest", truncate=3.0)

    def _smooth(self, picture: np.ndarray) -> np.ndarray:
        """Blurred as the photo is, of which only a part may be known."""
        if self.blur <= 0:
            return picture
        return self._blurred(np.where(self._present, picture, 0.0)) * self._scale

    def _exposed(self, smooth: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], list[np.ndarray]]:
        """Factor and offset [C] that bring the picture closest to the photo, and an orthonormal basis [H W, 2] of what
        they change, weighted, for each channel that has them."""
        channels = smooth.shape[2]
        factor, offset = np.ones(channels), np.zeros(channels)
        bases: list[np.ndarray] = []
        if not self.gains:
            return (factor, offset), bases
        for c in range(min(3, channels)):
            root = self._root[..., c].ravel()
            columns = np.stack([smooth[..., c].ravel() * root, root], axis=1)
            wanted = self._target[..., c].ravel() * root
            rows = np.ones(len(root), bool)
            for _ in range(2):  # once more without what fits badly
                found = np.linalg.lstsq(columns[rows], wanted[rows], rcond=1e-6)[0]
                rows = np.abs(columns @ found - wanted) <= self.huber
                if rows.sum() < 8:
                    break
            factor[c], offset[c] = np.clip(found[0], 0.1, 10.0), found[1]
            bases.append(np.linalg.qr(columns)[0])
        return (factor, offset), bases

    @staticmethod
    def _without_gains(column: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
        """A column of slopes without what factor and offset would take back (variable projection, Kaufman 1975)."""
        for c, basis in enumerate(bases):
            flat = column[..., c].ravel()
            column[..., c] = (flat - basis @ (basis.T @ flat)).reshape(column.shape[:2])
        return column
