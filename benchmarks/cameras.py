# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras and lenses found from photos by Cycles: a known scene from near and far starts, an outline alone, and whether
the standard deviations that are reported are true. ``python -m benchmarks cameras:near``, ``:far``, ``:outline``,
``:deviations``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import torch
from mathutils import Matrix
from PIL import Image
from scipy.spatial.transform import Rotation

from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection
from likeness.engine.color import ViewTransform
from likeness.engine.errors import LikenessError
from likeness.engine.photos import load_photo
from likeness.engine.preflight import preflight
from likeness.engine.rays import Rays
from likeness.engine.render import Renderer
from likeness.engine.result import FitSettings, Target
from likeness.engine.scene import Camera, Photo, Scene
from likeness.engine.solve.cameras import CameraFit
from likeness.engine.solve.rig import moved
from tests.scenes.cycles import reference_settings, render_cycles, render_photo
from tests.scenes.still_life import GLAZE, POT, build_still_life, true_maps

from .figures import CACHE, Figure, at_least, at_most, note, show

WIDTH, HEIGHT, SAMPLES = 640, 480, 48
SMALL = (160, 120)
CAMERA = "View 1"
CENTRE = np.array([0.0, 0.0, 0.98])
FAR_TRIALS, DEVIATION_TRIALS = 20, 50


def still_life() -> tuple[Scene, Path, Path]:
    """The scene as the engine sees it, its photo by Cycles, and the mask of the pot (Cycles' alpha)."""
    folder = CACHE / "cameras"
    photo, mask = folder / "photo.png", folder / "mask.png"
    bpy_scene = build_still_life(true_maps(512))
    scene, camera = read_scene(bpy_scene), bpy.data.objects[CAMERA]
    if not (photo.exists() and mask.exists()):
        reference_settings(bpy_scene, WIDTH, HEIGHT, SAMPLES, False)
        render_photo(bpy_scene, camera, photo)
        for obj in bpy_scene.objects:
            obj.is_holdout = obj.type == "MESH" and obj.name != POT
        bpy_scene.render.film_transparent = True
        size = {"width": WIDTH, "height": HEIGHT, "samples": 64, "direct_only": True}
        alpha = render_cycles(bpy_scene, camera, folder / "mask.exr", **size)[::-1, :, 3]
        Image.fromarray((alpha.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(mask)
    return scene, photo, mask


def disturbed(camera: Camera, seed: int, degrees: float, distance: float, lens: float = 0.0) -> Camera:
    """A camera that is off by so many degrees about a random axis (odd seeds: on its place, even ones: around the
    scene), so large a share of its distance, nearer or farther, and of its focal length."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis *= np.radians(degrees) / np.linalg.norm(axis)
    pose = np.array([*(axis if seed % 2 == 0 else np.zeros(3)), 0.0, 0.0, np.log1p(distance * rng.choice([-1, 1]))])
    matrix = moved(camera.matrix, CENTRE, pose)
    if seed % 2:
        matrix[:3, :3] = matrix[:3, :3] @ Rotation.from_rotvec(axis).as_matrix()
    return replace(camera, matrix=matrix, lens=camera.lens * (1 + lens * rng.choice([-1, 1])))


def search(scene: Scene, targets: Sequence[Target], resolution: int) -> CameraFit:
    """Find the cameras of a scene with photos."""
    checked, settings, _ = preflight(scene, FitSettings(targets=list(targets), resolution=resolution))
    transform = ViewTransform(checked.view)
    for photo in checked.photos:
        load_photo(photo, resolution, transform.tone_curve)
    found = CameraFit(checked, settings, transform, "cpu", None)
    for _ in found.steps():
        pass
    return found


def visible_vertices(scene: Scene, camera: Camera, only: str = "") -> np.ndarray:
    """Vertices [n, 3] in the picture that nothing hides."""

    points = np.concatenate([m.positions for m in scene.meshes if not only or m.name == only]).astype(np.float64)
    places = Projection.of(camera, WIDTH, HEIGHT).project(points)
    points = points[((places[:, :2] > 0) & (places[:, :2] < (WIDTH, HEIGHT))).all(1)]
    origin = camera.matrix[:3, 3]
    reach = (points - origin) * (1 - 1e-3)
    rays = Rays.empty(len(points), "cpu")
    rays.origin[:], rays.direction[:], rays.t_max[:] = torch.from_numpy(origin), torch.from_numpy(reach), 1.0
    return points[~Renderer(scene, "cpu").geometry.rays.occluded(rays).numpy()]


def reprojection(points: np.ndarray, found: Camera, true: Camera) -> float:
    """Mean distance in pixels."""
    places = [Projection.of(camera, WIDTH, HEIGHT).project(points)[:, :2] for camera in (found, true)]
    return float(np.linalg.norm(places[0] - places[1], axis=1).mean())


def near() -> list[Figure]:
    """4 degrees, 5 % of the distance and 10 % of the focal length off."""
    scene, photo, _ = still_life()
    true = scene.cameras[CAMERA]
    points = visible_vertices(scene, true)
    scene.photos = [Photo(CAMERA, str(photo))]
    scene.cameras[CAMERA] = disturbed(true, 1, 4.0, 0.05, 0.1)
    began = time.perf_counter()
    found = search(scene, [Target("camera"), Target("lens")], WIDTH)
    seconds = time.perf_counter() - began
    camera = found.scene.cameras[CAMERA]
    return show(
        [
            at_most("camera and focal length of one photo, error", reprojection(points, camera, true), 0.25, "px", 3),
            at_most("camera and focal length of one photo, time", seconds, 60, "s"),
            note("its start", f"{reprojection(points, scene.cameras[CAMERA], true):.0f} px off"),
            note("its focal length", f"{camera.lens:.2f} mm of {true.lens:.2f} mm"),
        ]
    )


def far() -> list[Figure]:
    """15 degrees and 20 % of the distance off, many starts."""
    scene, photo, _ = still_life()
    true = scene.cameras[CAMERA]
    points = visible_vertices(scene, true)
    scene.photos = [Photo(CAMERA, str(photo))]
    errors = []
    for seed in range(FAR_TRIALS):
        scene.cameras[CAMERA] = disturbed(true, seed, 15.0, 0.2)
        try:
            camera = search(scene, [Target("camera")], 320).scene.cameras[CAMERA]
            errors.append(reprojection(points, camera, true))
        except LikenessError as error:
            print(f"  {seed}: {error}")
            errors.append(np.inf)
    good = sum(error <= 0.5 for error in errors)
    print("  " + " ".join(f"{error:.2f}" for error in errors))
    return show(
        [
            at_least(f"found to 0.5 px of {FAR_TRIALS} starts that are 15 degrees and 20 % off", good, 18, "", 0),
            note("median error from them, photos of 320 px", f"{np.median(errors):.2f} px of the 640 px photo"),
        ]
    )


def outline() -> list[Figure]:
    """The pot's material and the light are unknown: its mask is all there is."""
    scene, photo, mask = still_life()
    true = scene.cameras[CAMERA]
    points = visible_vertices(scene, true, POT)
    scene.photos = [Photo(CAMERA, str(photo), mask_path=str(mask))]
    figures = []
    targets = [Target("camera"), Target("base_color", GLAZE), Target("lights")]
    for more, what in (([], "known"), ([Target("lens")], "10 % off")):
        scene.cameras[CAMERA] = disturbed(true, 2, 4.0, 0.05, 0.1 if more else 0.0)
        camera = search(scene, [*targets, *more], WIDTH).scene.cameras[CAMERA]
        error = reprojection(points, camera, true)
        name = f"camera from an outline alone, focal length {what}"
        figures.append(note(name, f"{error:.2f} px") if more else at_most(name, error, 0.7, "px", 2))
    return show(figures)


def deviations() -> list[Figure]:
    """Random cameras, photos of 160 x 120 with the noise of 16 samples: how far off they are, in what is reported."""
    folder = CACHE / "cameras" / "random"
    scene, _, _ = still_life()
    base = scene.cameras[CAMERA]
    truths = [replace(disturbed(base, 100 + 2 * i, 25.0, 0.15), lens=base.lens) for i in range(DEVIATION_TRIALS)]
    _photograph(folder, truths)
    ratios: dict[str, list[float]] = {"position": [], "rotation": [], "lens": []}
    for index, true in enumerate(truths):
        scene.photos = [Photo(CAMERA, str(folder / f"{index:02d}.png"))]
        scene.cameras[CAMERA] = disturbed(true, index, 1.5, 0.02, 0.03)
        found = search(scene, [Target("camera"), Target("lens")], SMALL[0])
        one = found.found[0]
        turn = Rotation.from_matrix(one.matrix[:3, :3].T @ true.matrix[:3, :3]).magnitude()
        off = {
            "position": np.linalg.norm(one.matrix[:3, 3] - true.matrix[:3, 3]),
            "rotation": np.degrees(turn),
            "lens": abs(one.lens - true.lens),
        }
        for what, values in ratios.items():
            values.append(float(off[what] / one.deviations[what]))
    figures = []
    for what, values in ratios.items():
        share = 100 * float(np.mean(np.array(values) <= 3.0))
        figures.append(at_least(f"{what} within 3 standard deviations, of {len(values)} photos", share, 95, "%", 0))
        figures.append(note(f"{what}, error over standard deviation, median", f"{np.median(values):.2f}"))
    return show(figures)


def _photograph(folder: Path, cameras: Sequence[Camera]) -> None:
    """Photos by Cycles of the still life, each with noise of its own."""
    if (folder / f"{len(cameras) - 1:02d}.png").exists():
        return
    bpy_scene = build_still_life(true_maps(512))
    obj = bpy.data.objects[CAMERA]
    for index, camera in enumerate(cameras):
        obj.matrix_world = Matrix(camera.matrix.tolist())
        reference_settings(bpy_scene, *SMALL, 16, False, seed=index)
        render_photo(bpy_scene, obj, folder / f"{index:02d}.png")


PARTS: dict[str, Callable[[], list[Figure]]] = {
    "near": near,
    "far": far,
    "outline": outline,
    "deviations": deviations,
}


def measure(names: Sequence[str] = ()) -> list[Figure]:
    """The parts that are named, or all."""
    return [figure for name in names or PARTS for figure in PARTS[name]()]


if __name__ == "__main__":
    measure(sys.argv[1:])
