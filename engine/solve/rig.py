# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras as functions of few numbers: poses, and lenses that several of them share.

A camera moves about a pivot, the middle of what it sees, in its own axes: turning about it, sliding across the picture,
and distance as a logarithm. These change the picture by about the same each and hardly one like another, which a
position in metres and Euler angles do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..scene import Camera
from .least_squares import Solution, Unknown

POSE = ("turn x", "turn y", "turn z", "slide x", "slide y", "distance")
_DEGREE = np.pi / 180
# Pose: radians, shares of the distance, logarithm. Lens: logarithm; shift as Blender's; k1 k2 p1 p2 k3.
_POSE_STEPS = (_DEGREE, _DEGREE, _DEGREE, 0.01, 0.01, 0.01)
# Further than this from its start a camera is not looked for: it would need another start.
_POSE_LIMITS = {"turn": 1.0, "slide": 1.0, "distance": np.log(3.0)}
_LENS = {
    "lens": (("focal length", 0.01),),
    "shift": (("shift x", 0.005), ("shift y", 0.005)),
    "distortion": (("k1", 0.01), ("k2", 0.03), ("p1", 0.001), ("p2", 0.001), ("k3", 0.06)),
}
# What lenses are like, as standard deviations: it decides where the photos do not.
_LENS_PRIORS = {"focal length": 0.5, "shift x": 0.1, "shift y": 0.1,
                "k1": 0.5, "k2": 1.0, "p1": 0.02, "p2": 0.02, "k3": 2.0}  # fmt: skip
# A lens is not looked for beyond a third or three times of its start, a shift not beyond the picture.
_LENS_LIMITS = {"focal length": np.log(3.0), "shift x": 0.5, "shift y": 0.5}


@dataclass
class Rig:
    """Which numbers of which cameras are free; values are ordered as `unknowns`."""

    cameras: dict[str, Camera]  # at the start, all that take part
    pivots: dict[str, np.ndarray]  # [3] world space
    unknowns: list[Unknown] = field(default_factory=list)
    _poses: dict[str, int] = field(default_factory=dict)  # camera -> first of its six unknowns
    _lenses: dict[str, dict[str, int]] = field(default_factory=dict)  # lens (see lens_name) -> kind -> first unknown

    @classmethod
    def of(
        cls, cameras: Mapping[str, Camera], pivots: Mapping[str, np.ndarray], free: Mapping[str, Iterable[str]]
    ) -> Rig:
        """`free`: camera name -> which of "camera" (its pose), "lens", "shift" and "distortion" may change.

        Cameras that share a lens (see lens_name) get one set of numbers for it. Distance and focal length of an
        orthographic camera mean nothing; its scale is what "lens" changes.
        """
        rig = cls(dict(cameras), {name: np.asarray(place, np.float64) for name, place in pivots.items()})
        for name, camera in rig.cameras.items():
            kinds = set(free.get(name, ()))
            if "camera" in kinds:
                rig._poses[name] = len(rig.unknowns)
                for part, step in zip(POSE, _POSE_STEPS, strict=True):
                    still = part == "distance" and camera.kind == "ORTHO"
                    bound = 0.0 if still else _POSE_LIMITS[part.partition(" ")[0]]
                    rig.unknowns.append(
                        Unknown(f'{part} of camera "{name}"', 0.0, step, 1e-6 if still else None, -bound, bound)
                    )
            lens = rig._lenses.setdefault(lens_name(camera), {})
            for kind in sorted((kinds & _LENS.keys()) - lens.keys()):
                lens[kind] = len(rig.unknowns)
                given = camera.distortion or (0.0,) * 5
                starts = given if kind == "distortion" else (0.0,) * len(_LENS[kind])
                for (part, step), start in zip(_LENS[kind], starts, strict=True):
                    limit = _LENS_LIMITS.get(part, np.inf)
                    word = f'{part} of lens "{lens_name(camera)}"'
                    prior = _LENS_PRIORS[part]
                    rig.unknowns.append(Unknown(word, start, step, prior, start - limit, start + limit))
        return rig

    def start(self) -> np.ndarray:
        """Values of the cameras as they were given."""
        return np.array([unknown.start for unknown in self.unknowns])

    def places(self, name: str) -> list[int]:
        """Indices of the unknowns that camera `name` depends on."""
        pose = range(self._poses[name], self._poses[name] + 6) if name in self._poses else range(0)
        lens = self._lenses.get(lens_name(self.cameras[name]), {})
        return [*pose, *(first + i for kind, first in lens.items() for i in range(len(_LENS[kind])))]

    def camera(self, name: str, values: np.ndarray) -> Camera:
        """Camera `name` for `values` [n] of all unknowns."""
        start = self.cameras[name]
        camera = start
        if name in self._poses:
            first = self._poses[name]
            camera = replace(camera, matrix=moved(start.matrix, self.pivots[name], values[first : first + 6]))
        lens = self._lenses.get(lens_name(start), {})
        if "lens" in lens:
            factor = float(np.exp(values[lens["lens"]]))
            ortho = start.kind == "ORTHO"
            camera = replace(
                camera,
                lens=start.lens * (1.0 if ortho else factor),
                ortho_scale=start.ortho_scale / (factor if ortho else 1.0),
            )
        if "shift" in lens:
            across, up = values[lens["shift"] : lens["shift"] + 2]
            camera = replace(camera, shift_x=start.shift_x + float(across), shift_y=start.shift_y + float(up))
        if "distortion" in lens:
            k1, k2, p1, p2, k3 = map(float, values[lens["distortion"] : lens["distortion"] + 5])
            camera = replace(camera, distortion=(k1, k2, p1, p2, k3))
        return camera

    def doubt(self, name: str, solution: Solution) -> dict[str, float]:
        """Standard deviations of camera `name` in an artist's units, see result.FittedCamera; 0 for what stayed fixed.
        That of the position is along its worst axis."""
        places = self.places(name)
        x, deviations = solution.values, solution.deviations
        found = dict.fromkeys(("position", "rotation", "lens", "shift", "k1", "k2", "p1", "p2", "k3"), 0.0)
        camera = self.camera(name, x)
        if name in self._poses:
            pose = places[:6]
            found["rotation"] = float(np.linalg.norm(deviations[pose[:3]])) / _DEGREE
            slopes = np.empty((3, 6))
            for k, place in enumerate(pose):
                nudge = np.zeros(len(x))
                nudge[place] = 1e-5
                ends = [self.camera(name, x + sign * nudge).matrix[:3, 3] for sign in (1, -1)]
                slopes[:, k] = (ends[0] - ends[1]) / 2e-5
            spread = solution.covariance[np.ix_(pose, pose)]
            finite = np.isfinite(spread).all()
            found["position"] = (
                float(np.sqrt(np.linalg.eigvalsh(slopes @ spread @ slopes.T).max())) if finite else np.inf
            )
        lens = self._lenses.get(lens_name(camera), {})
        if "lens" in lens:
            size = camera.ortho_scale if camera.kind == "ORTHO" else camera.lens
            found["lens"] = float(deviations[lens["lens"]]) * size
        if "shift" in lens:
            found["shift"] = float(deviations[lens["shift"] : lens["shift"] + 2].max())
        if "distortion" in lens:
            first = lens["distortion"]
            found.update(zip(("k1", "k2", "p1", "p2", "k3"), map(float, deviations[first : first + 5]), strict=True))
        return found


def lens_name(camera: Camera) -> str:
    """What cameras that share a lens have in common: their datablock, where it is known."""
    return camera.data_name or camera.name


def moved(matrix: np.ndarray, pivot: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The camera-to-world `matrix` [4, 4] after the world has moved by `pose` [6] in the camera's axes, see POSE.

    In camera space a point X goes to Rot(turn) (X - P) + P exp(distance) + depth(P) (slide, 0), P being the pivot: what
    is turned and slid in the picture are the things, as an artist would see it.
    """
    rotation, place = matrix[:3, :3], matrix[:3, 3]
    centre = rotation.T @ (pivot - place)
    turn = Rotation.from_rotvec(pose[:3]).as_matrix()
    there = centre * np.exp(pose[5]) + abs(centre[2]) * np.array([pose[3], pose[4], 0.0])
    out = np.eye(4)
    out[:3, :3] = rotation @ turn.T
    out[:3, 3] = pivot - out[:3, :3] @ there
    return out
