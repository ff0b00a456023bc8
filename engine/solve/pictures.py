# SPDX-License-Identifier: GPL-3.0-or-later
"""Residuals from pictures: a render minus what a photo shows at the places where its surfaces are seen.

A render is made once, for some values of the unknowns; for others its colours stick to their surfaces, and it is the
photo that is looked up where these are seen then (direct image alignment: Lucas and Kanade 1981). So a step of the
solver costs no render, its error has no noise that changes from step to step, and after the next render the residuals
are those of the pictures themselves. Outlines move as the nearer surface does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from .least_squares import Residuals

# Neighbouring residuals of a square of so many pixels err together.
_TILE = 12
# Central differences of places in the picture, in steps of the unknowns; they are smooth.
_NUDGE = 0.01
# Where both pictures change by less than this from pixel to pixel, nothing is seen to move.
_FLAT = 2e-3
# Colours of a photo, in which gains are found.
_COLOURS = 3


@dataclass
class Shown:
    """A picture of the scene, and what is seen where."""

    pixels: np.ndarray  # [H, W, C]
    points: np.ndarray  # [H, W, 3] world space: nearest surface in or beside the pixel; far away where there is none
    mesh: np.ndarray  # [H, W] int32 index of the mesh that they belong to, -1: none


@dataclass
class PictureTerm:
    """A photo [H, W, C] compared with a render; see least_squares.Term.

    `shown` is the render for the values `at` [k] of the term's unknowns. `move` says where points [n, 3] of meshes [n]
    are seen for values: [n, 2] pixels, y up. `appearance` holds slopes [H, W, C] of the picture's colours, by position
    among the unknowns (light). `blur` (pixels) is taken of both pictures: it widens the basin. `gains`: a factor and an
    offset for each of the first three channels are found along with the unknowns (light that is not known).
    """

    unknowns: Sequence[int]
    shown: Shown
    at: np.ndarray  # [k]
    target: np.ndarray  # [H, W, C]
    weight: np.ndarray  # [H, W, C] >= 0
    move: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None
    steps: np.ndarray  # [k] of the unknowns
    huber: float = 0.1
    blur: float = 0.0
    gains: bool = False
    appearance: Mapping[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _, width, channels = self.target.shape
        present = self.weight > 0
        render, photo = (_blurred(picture, present, self.blur) for picture in (self.shown.pixels, self.target))
        up, across = np.gradient(photo, axis=(0, 1))
        busy = sum(np.abs(part) for picture in (render, photo) for part in np.gradient(picture, axis=(0, 1)))
        rows = (present & (busy > _FLAT)).any(-1)
        if not rows.any():
            rows = present.any(-1)
        # the photo and its gradient beside each other, for one lookup
        self._lookup = np.concatenate([photo, across, up], axis=-1)
        self._render, self._root = render[rows], np.sqrt(self.weight[rows])
        self._appearance = {k: _blurred(slope, present, self.blur)[rows] for k, slope in self.appearance.items()}
        y, x = np.nonzero(rows)
        self._at_home = np.stack([x + 0.5, y + 0.5], axis=1)
        tile = y // _TILE * (width // _TILE + 1) + x // _TILE
        self._group = np.repeat(np.unique(tile, return_inverse=True)[1], channels)
        self._points, self._mesh = self.shown.points[rows], self.shown.mesh[rows]
        self._speed = self._speeds()

    def measure(self, values: np.ndarray, slopes: bool) -> Residuals:
        """See least_squares.Term."""
        change = values - self.at
        places = self._at_home if self.move is None else self.move(values, self._points, self._mesh)
        channels = self.target.shape[2]
        looked_up = _sample(self._lookup if slopes else self._lookup[..., :channels], places)
        photo = looked_up[:, :channels]
        render = self._render
        for k, slope in self._appearance.items():
            render = render + slope * change[k]
        factor, offset, bases = self._exposed(render, photo)
        residuals = (render - photo * factor - offset) * self._root
        if not slopes:
            return Residuals(residuals.ravel(), None, self._group)
        across, up = looked_up[:, channels : 2 * channels], looked_up[:, 2 * channels :]
        columns = []
        for k in range(len(values)):
            column = -(across * self._speed[k, :, :1] + up * self._speed[k, :, 1:]) * factor
            if k in self._appearance:
                column = column + self._appearance[k]
            columns.append(_without_gains(column * self._root, bases).ravel())
        return Residuals(residuals.ravel(), np.stack(columns, axis=1), self._group)

    def explained(self, values: np.ndarray) -> float:
        """How much of the variance of what is compared agrees: 1 all of it, 0 none."""
        found = self.measure(values, False).values
        if self.gains:
            compared = self._render
        else:
            places = self._at_home if self.move is None else self.move(values, self._points, self._mesh)
            compared = _sample(self._lookup[..., : self.target.shape[2]], places)
        total = (self._root**2).sum(0)
        mean = (compared * self._root**2).sum(0) / np.maximum(total, 1e-12)
        spread = float((((compared - mean) * self._root) ** 2).sum())
        return 1.0 - float((found**2).sum()) / max(spread, 1e-12)

    def _speeds(self) -> np.ndarray:
        """Pixels [k, n, 2] by which the rows' points move for each unknown."""
        speed = np.zeros((len(self.at), len(self._points), 2))
        if self.move is None:
            return speed
        for k, step in enumerate(self.steps):
            nudge = np.zeros(len(self.at))
            nudge[k] = _NUDGE * step
            ends = [self.move(self.at + sign * nudge, self._points, self._mesh) for sign in (1, -1)]
            speed[k] = (ends[0] - ends[1]) / (2 * nudge[k])
        return np.nan_to_num(speed, nan=0.0, posinf=0.0, neginf=0.0)

    def _exposed(self, render: np.ndarray, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Factor and offset [C] that bring the photo closest to the render, and for each channel that has them an
        orthonormal basis [n, 2] of what they change, weighted. Brought the other way, any flat part of a photo would
        look like everything."""
        factor, offset = np.ones(render.shape[1]), np.zeros(render.shape[1])
        bases: list[np.ndarray] = []
        if not self.gains:
            return factor, offset, bases
        for c in range(min(_COLOURS, render.shape[1])):
            root = self._root[:, c]
            columns = np.stack([photo[:, c] * root, root], axis=1)
            wanted, kept = render[:, c] * root, root > 0
            for _ in range(2):  # once more without what fits badly
                if kept.sum() < 8:
                    break
                found = np.linalg.lstsq(columns[kept], wanted[kept], rcond=1e-6)[0]
                factor[c], offset[c] = np.clip(found[0], 0.1, 10.0), found[1]
                kept = (np.abs(columns @ found - wanted) <= 2 * self.huber) & (root > 0)
            bases.append(np.linalg.qr(columns)[0])
        return factor, offset, bases


def _blurred(picture: np.ndarray, present: np.ndarray, blur: float) -> np.ndarray:
    """A picture blurred over the part of it that counts."""
    if blur <= 0:
        return picture
    sigma = (blur, blur, 0)
    known = gaussian_filter(present.astype(np.float64), sigma, mode="nearest", truncate=3.0)
    smooth = gaussian_filter(np.where(present, picture, 0.0), sigma, mode="nearest", truncate=3.0)
    return smooth / np.maximum(known, 1e-3)


def _sample(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear lookup of [H, W, C] at places [n, 2] (x, y), pixel centres at + 0.5; the border goes on outside."""
    height, width, channels = picture.shape
    places = np.nan_to_num(places, nan=-1.0)
    x = np.clip(places[:, 0] - 0.5, 0, width - 1)
    y = np.clip(places[:, 1] - 0.5, 0, height - 1)
    left, low = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    a, b = (x - left)[:, None], (y - low)[:, None]
    flat = picture.reshape(-1, channels)
    corner = low * width + left
    bottom = flat[corner] * (1 - a) + flat[corner + 1] * a
    top = flat[corner + width] * (1 - a) + flat[corner + width + 1] * a
    return bottom * (1 - b) + top * b


def _without_gains(column: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
    """Slopes [n, C] without what factor and offset would take back (variable projection, Kaufman 1975)."""
    for c, basis in enumerate(bases):
        column[:, c] -= basis @ (basis.T @ column[:, c])
    return column
