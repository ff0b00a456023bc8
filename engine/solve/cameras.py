# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of a fit that finds cameras and lenses, before anything else is fitted.

Coarse before fine; each camera by itself until the pictures are sharp enough to tell a shared lens, then all that share
one together. A camera whose photo is far from what it sees is also started from elsewhere (``starts``). Where the
material is known colours are compared, where the photo has a mask outlines. What could not be found stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..color import ViewTransform
from ..errors import CancelledError, PhotoError, SceneError
from ..files import write_atomic
from ..photo_masks import photo_projection
from ..photos import undistort_photo
from ..render import Renderer, resolve_device
from ..result import CAMERA_TARGETS, FitSettings, FittedCamera, Progress
from ..scene import Camera, Scene
from .least_squares import Solution, Step, Unknown, solve
from .pictures import PictureTerm
from .rig import Rig, lens_name
from .sights import Clues, Sight
from .starts import other_starts

STATE = "cameras.json"
COARSE = 3  # stages at the coarsest level
_COARSEST = 64  # pixels of a photo's longer side in the coarsest level, at least
# Blur of sharp pictures: looked up between pixels, noise would be smaller than on them, and hold places off the pixels.
_SOFT = 0.8
_COUNTED = 8  # steps that a stage is counted as in the progress
_STARTS = 4  # of the grid that are tried out
# Agreement (share of the photo's variance that is explained, or overlap of mask and outline) of a start that has
# settled well, below which others are tried, and below which what was found is not believed.
_GOOD, _POOR, _BELIEVED = 0.9, 0.7, 0.35
_BELIEVED_OVERLAP = 0.6


@dataclass(frozen=True)
class Stage:
    """A level of the photos, the blur (pixels) of both pictures, how often the scene is rendered anew."""

    level: int
    blur: float
    renders: int
    together: bool  # lenses and all cameras that share them; else poses alone where a lens is shared
    distortion: bool


def plan(longest: int) -> list[Stage]:
    """Stages for photos of that many pixels on the longer side."""
    coarsest = max(0, int(np.log2(max(longest, 1) / _COARSEST)))
    stages = [Stage(coarsest, blur, 2, False, False) for blur in (4.0, 2.0, 1.0)]
    assert len(stages) == COARSE
    stages += [Stage(level, _SOFT, 2, True, level <= 1) for level in range(coarsest - 1, -1, -1)]
    if coarsest == 0:
        stages.append(Stage(0, _SOFT, 2, True, True))
    return stages


@dataclass
class Cameras:
    """What the search leaves to the rest of the fit."""

    scene: Scene  # with the cameras as they were found; photos and cameras without distortion
    start: Scene = field(default_factory=Scene)  # with the cameras as they were given
    free: dict[str, list[str]] = field(default_factory=dict)  # camera -> which of CAMERA_TARGETS may change
    found: list[FittedCamera] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    steps: int = 0
    cancelled: bool = False

    def __post_init__(self) -> None:
        if not self.start.cameras:
            self.start = self.scene


def find_cameras(
    scene: Scene, settings: FitSettings, transform: ViewTransform, run_dir: Path | None, resume: bool
) -> Generator[Progress, None, Cameras]:
    """The stage as a part of a fit whose photos are loaded: search where `settings` ask for it, straighten photos.

    CancelledError ends the search with what was reached. Raises PhotoError and SceneError, see CameraFit.
    """
    if not any(target.kind in CAMERA_TARGETS for target in settings.targets):
        return Cameras(straightened(scene), scene)
    search, cancelled = CameraFit(scene, settings, transform, resolve_device(settings.device), run_dir), False
    if resume:
        search.restore()
    try:
        yield from search.steps()
    except (CancelledError, KeyboardInterrupt):
        cancelled = True
        search.finish(stopped=True)
    straight = straightened(search.scene)
    return Cameras(straight, scene, search.free, search.found, search.warnings, search.steps_planned, cancelled)


class CameraFit:
    """State of the search. After `steps`, `scene` holds the cameras as they were found."""

    def __init__(
        self, scene: Scene, settings: FitSettings, transform: ViewTransform, device: str, run_dir: Path | None
    ) -> None:
        """Raises PhotoError where nothing of a photo could tell."""
        self.start, self.scene, self.settings, self.run_dir = scene, scene, settings, run_dir
        self.warnings: list[str] = []
        self.free: dict[str, list[str]] = {}
        for target in settings.targets:
            if target.kind in CAMERA_TARGETS and target.datablock is not None:
                self.free.setdefault(target.datablock, []).append(target.kind)
        renderer = Renderer(scene, device)
        clues = Clues.of(scene, settings.targets, renderer)
        chosen = [photo for photo in scene.photos if photo.camera in self.free]
        self.sights = {photo.name: Sight(scene, photo, renderer, transform, clues) for photo in chosen}
        for name, sight in self.sights.items():
            if not sight.shaded and not sight.masked:
                raise PhotoError(
                    f'Photo "{name}": nothing in it tells where its camera is, as all materials are fitted and it has '
                    "no mask. Give it a mask of the object, or leave a material that you know unticked."
                )
        longest = max(max(sight.photo.pixels.shape[:2]) for sight in self.sights.values())  # type: ignore[union-attr]
        self.stages = plan(longest)
        self.steps_planned = len(self.stages) * _COUNTED
        coarse = self.stages[0].level
        cameras = {name: scene.cameras[name] for name in self.free}
        self.pivots = {}
        for name, camera in cameras.items():
            for sight in self._sights_of(name):
                sight.choose_objects(camera, coarse)
            self.pivots[name] = self._pivot(self._sights_of(name)[0], camera, coarse)
        self.rig = Rig.of(cameras, self.pivots, self.free)
        self.values = self.rig.start()
        self._next = 0
        self.doubts: dict[str, dict[str, float]] = {}  # camera -> see Rig.doubt
        self.weak: dict[str, list[str]] = {}  # camera -> what its photos leave open
        self.found: list[FittedCamera] = []

    def _sights_of(self, name: str) -> list[Sight]:
        return [sight for sight in self.sights.values() if sight.photo.camera == name]

    def _pivot(self, sight: Sight, camera: Camera, level: int) -> np.ndarray:
        """The middle of what is seen of the objects; of their corners where nothing is."""
        shown = sight.shown(camera, level, 0.0)
        inside = (shown.mesh >= 0) & (shown.pixels[..., 3] > 0.5)
        if inside.any():
            return np.median(shown.points[inside], axis=0)
        meshes = [mesh for mesh in self.scene.meshes if len(mesh.triangles)]
        objects = [mesh.positions for mesh, chosen in zip(meshes, sight.looker.objects, strict=True) if chosen]
        corners = np.concatenate(objects or [mesh.positions for mesh in meshes])
        return (corners.min(0) + corners.max(0)).astype(np.float64) / 2

    def steps(self) -> Generator[Progress, None, None]:
        """All stages that are left."""
        if self._next == 0:
            for number, name in enumerate(self.free):
                for step in self._settle(name):
                    share = (number + 0.5) / len(self.free) * COARSE
                    yield Progress(1 + int(share * _COUNTED), self.steps_planned, "cameras", step.cost, 0.0, 0.0)
            self._next = COARSE
            self._save()
        while self._next < len(self.stages):
            stage = self.stages[self._next]
            for done, cost in self._run_stage(stage):
                count = self._next * _COUNTED + min(int(done * _COUNTED) + 1, _COUNTED)
                yield Progress(count, self.steps_planned, "cameras", cost, 0.0, 0.0)
            self._next += 1
            self._save()
        self.finish()

    def _run_stage(self, stage: Stage) -> Generator[tuple[float, float], None, None]:
        """Yields the share of the stage that is done, and the cost."""
        groups = self._groups(stage)
        for number, names in enumerate(groups):
            for repeat in range(stage.renders):
                for step in self._solve(names, stage):
                    yield (number + repeat / stage.renders) / len(groups), step.cost

    def _groups(self, stage: Stage) -> list[list[str]]:
        """Cameras that are looked for together."""
        lenses: dict[str, list[str]] = {}
        for name, kinds in self.free.items():
            shared = stage.together and bool(set(kinds) - {"camera"})
            lenses.setdefault(lens_name(self.rig.cameras[name]) if shared else f" {name}", []).append(name)
        return list(lenses.values())

    def _places(self, names: Sequence[str], stage: Stage) -> list[int]:
        """The unknowns that change in a stage."""
        places = list(dict.fromkeys(place for name in names for place in self.rig.places(name)))
        users = sum(lens_name(camera) == lens_name(self.rig.cameras[names[0]]) for camera in self.rig.cameras.values())
        alone = len(names) == 1 and users > 1

        def free(unknown: Unknown) -> bool:
            lens, bent = " of lens " in unknown.name, unknown.name[:2] in ("k1", "k2", "k3", "p1", "p2")
            return not (lens and alone) and not (bent and not stage.distortion)

        return [place for place in places if free(self.rig.unknowns[place])]

    def _solve(self, names: Sequence[str], stage: Stage) -> Generator[Step, None, None]:
        places = self._places(names, stage)
        if not places:
            return
        unknowns = [self.rig.unknowns[place] for place in places]
        terms = [term for name in names for term in self._terms(name, places, stage)]
        fine = stage.level == 0
        solution = yield from solve(
            unknowns, terms, self.values[places], iterations=10 if fine else 20, tolerance=0.005 if fine else 0.02
        )
        if np.isfinite(solution.values).all():
            self.values = self.values.copy()
            self.values[places] = solution.values
        for name in names:
            self.doubts[name] = self.rig.doubt(name, self._widened(solution, places))
            self.weak[name] = solution.weak

    def _terms(self, name: str, places: Sequence[int], stage: Stage) -> list[PictureTerm]:
        own = [place for place in self.rig.places(name) if place in places]
        whole = self.values.copy()

        def camera_of(values: np.ndarray) -> Camera:
            changed = whole.copy()
            changed[own] = values
            return self.rig.camera(name, changed)

        steps = np.array([self.rig.unknowns[place].step for place in own])
        positions = [places.index(place) for place in own]
        return [
            term
            for sight in self._sights_of(name)
            for term in sight.terms(camera_of, whole[own], positions, steps, stage.level, stage.blur)
        ]

    def _widened(self, solution: Solution, places: Sequence[int]) -> Solution:
        """The solution with all unknowns of the rig; what did not change is certain."""
        n = len(self.values)
        covariance = np.zeros((n, n))
        covariance[np.ix_(places, places)] = solution.covariance
        deviations = np.zeros(n)
        deviations[list(places)] = solution.deviations
        return replace(solution, values=self.values, covariance=covariance, deviations=deviations)

    def quality(self, name: str, camera: Camera) -> tuple[float, bool]:
        """How well a camera's photos agree with what it sees at the coarsest level: the mean share of their variance
        that is explained, or overlap of the outlines where there are masks; and whether all are believable."""
        scores, believed = [], True
        for sight in self._sights_of(name):
            if sight.masked:
                score = sight.overlap(camera, self.stages[0].level)
                believed = believed and score >= _BELIEVED_OVERLAP
            else:
                (term,) = sight.terms(lambda _: camera, np.zeros(0), [], np.zeros(0), self.stages[0].level, 1.0)
                score = term.explained(np.zeros(0))
                believed = believed and score >= _BELIEVED
            scores.append(score)
        return float(np.mean(scores)), believed

    def _colours(self, name: str, camera: Camera) -> float:
        """The mean share of the variance of a camera's photos that is explained at the finest level, of those whose
        colours are compared: outlines that agree are no proof."""
        finest, none = self.stages[-1].level, np.zeros(0)
        compared = [sight for sight in self._sights_of(name) if sight.shaded]
        terms = [sight.terms(lambda _: camera, none, [], none, finest, 1.0)[0] for sight in compared]
        return float(np.mean([term.explained(none) for term in terms])) if terms else 0.0

    def _settle(self, name: str) -> Generator[Step, None, None]:
        """The coarse stages of one camera: from the widest blur on or, where that loses its way (a pattern that repeats
        is grey then), from a narrower one; last from elsewhere. The best is kept."""
        coarse = self.stages[:COARSE]
        start, kept = self.values, (-np.inf, self.rig.cameras[name], self.values)

        def settled(stages: list[Stage]) -> Generator[Step, None, tuple[float, Camera, np.ndarray]]:
            for stage in stages:
                for _ in range(stage.renders):
                    yield from self._solve([name], stage)
            return self.quality(name, self.rig.camera(name, self.values))[0], self.rig.cameras[name], self.values

        for first in range(COARSE):
            self.values = start
            kept = max(kept, (yield from settled(coarse[first:])), key=lambda one: one[0])
            if kept[0] >= _GOOD:
                break
        if kept[0] < _POOR and "camera" in self.free[name]:
            sight, own = self._sights_of(name)[0], self.rig.cameras[name]
            for camera in other_starts(sight, own, self.pivots[name], coarse[0].level, _STARTS):
                self.rig.cameras[name], self.values = replace(own, matrix=camera.matrix), start
                kept = max(kept, (yield from settled(coarse[1:])), key=lambda one: one[0])
        _, self.rig.cameras[name], self.values = kept

    def finish(self, stopped: bool = False) -> None:
        """Put what was found into `scene` and `found`; what is not believable stays as it was, with a warning. Raises
        SceneError where no camera was found, unless the search was `stopped`."""
        cameras, self.found, lost = dict(self.scene.cameras), [], []
        for name, kinds in self.free.items():
            camera, start = self.rig.camera(name, self.values), self.start.cameras[name]
            score, believed = self.quality(name, camera)
            before = self.quality(name, start)[0]
            worse = self._colours(name, camera) < self._colours(name, start) - 0.02
            if not believed or worse or score < before - 0.02:
                lost.append(name)
                self.warnings.append(
                    f'Camera "{name}" was not found: what it sees agrees with its photo to {max(score, 0.0):.0%} only. '
                    "It stays as it was; move it closer to the place of the photo, and look at mask and material."
                )
                continue
            cameras[name] = camera
            self.found.append(self._fitted(name, kinds, camera))
        if lost and not self.found and not stopped:
            raise SceneError(
                f'No camera was found in its photo, neither "{lost[0]}"{" nor the others" if len(lost) > 1 else ""}. '
                "Move the cameras so that they see about what the photos show, and fit again."
            )
        weak = dict.fromkeys(words for name in self.weak if name not in lost for words in self.weak[name])
        self.warnings += [f"{words[0].upper()}{words[1:]}." for words in weak]
        self.scene = replace(self.start, cameras=cameras)

    def _fitted(self, name: str, kinds: list[str], camera: Camera) -> FittedCamera:
        sight = self._sights_of(name)[0]
        shown = sight.shown(self.start.cameras[name], 0, 0.0)
        points = shown.points[shown.mesh >= 0]
        ends = [sight.projection(one, 0).project(points) for one in (self.start.cameras[name], camera)]
        seen = (ends[0][:, 2] > 0) & (ends[1][:, 2] > 0)
        moved = np.linalg.norm((ends[1] - ends[0])[seen, :2], axis=1)
        return FittedCamera(
            name=name,
            data_name=camera.data_name,
            free=sorted(kinds),
            matrix=np.asarray(camera.matrix, np.float64),
            lens=camera.lens,
            shift_x=camera.shift_x,
            shift_y=camera.shift_y,
            ortho_scale=camera.ortho_scale,
            distortion=None if camera.distortion is None else list(camera.distortion),
            moved=float(moved.mean()) if len(moved) else 0.0,
            deviations=self.doubts.get(name, {}),
        )

    def _save(self) -> None:
        """Write where the search stands; small enough to be written after each stage. Raises OutputError."""
        if self.run_dir is None:
            return
        state = {
            "targets": [str(target) for target in self.settings.targets],
            "resolution": self.settings.resolution,
            "next": self._next,
            "values": self.values.tolist(),
            "doubts": self.doubts,
            "weak": self.weak,
            "starts": {name: camera.matrix.tolist() for name, camera in self.rig.cameras.items()},
        }
        self.run_dir.mkdir(parents=True, exist_ok=True)
        write_atomic(self.run_dir / STATE, json.dumps(state))

    def restore(self) -> None:
        """Go on where an earlier search in the same folder was, if there is one of the same fit."""
        path = self.run_dir / STATE if self.run_dir is not None else None
        if path is None or not path.is_file():
            return
        state = json.loads(path.read_text(encoding="utf-8"))
        same = state["targets"] == [str(target) for target in self.settings.targets]
        if not same or state["resolution"] != self.settings.resolution or len(state["values"]) != len(self.values):
            return
        self.values, self._next = np.array(state["values"]), int(state["next"])
        self.doubts, self.weak = state["doubts"], state["weak"]
        for name, matrix in state["starts"].items():
            self.rig.cameras[name] = replace(self.rig.cameras[name], matrix=np.array(matrix))


def straightened(scene: Scene) -> Scene:
    """The scene with photos (changed in place) and cameras without distortion: the rest of a fit knows none, as Blender
    does not."""
    cameras = dict(scene.cameras)
    for photo in scene.photos:
        camera = scene.cameras[photo.camera]
        if camera.distortion is None:
            continue
        assert photo.pixels is not None, "load_photo first"
        height, width = photo.pixels.shape[:2]
        undistort_photo(photo, photo_projection(scene, photo, width, height, camera))
        cameras[photo.camera] = replace(camera, distortion=None)
    return replace(scene, cameras=cameras)
