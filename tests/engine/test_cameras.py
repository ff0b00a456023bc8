# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras from photos that Cycles took: poses, lenses, distortion, outlines alone, and what must not be believed."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection, undistort
from likeness.engine.errors import CancelledError, PhotoError, SceneError
from likeness.engine.fit import fit
from likeness.engine.result import FitResult, FitSettings, Progress, Target
from likeness.engine.scene import Camera, Photo, Scene
from likeness.engine.solve.rig import moved
from tests.scenes import build
from tests.scenes.cycles import reference_settings, render_cycles, render_photo

WIDTH, HEIGHT, SAMPLES = 128, 96, 32
PIVOT = np.array([0.0, 0.0, 0.3])
LENS = (-0.25, 0.05, 0.002, -0.001, 0.0)


def blobs() -> np.ndarray:
    """Linear base colours [32, 32, 3] without a repeat."""
    v, u = np.meshgrid(np.arange(32) / 32, np.arange(32) / 32, indexing="ij")
    waves = [np.sin(2 * np.pi * (a * u + b * v) + c) for a, b, c in ((1, 0.3, 0), (0.4, 1.3, 1), (2.1, 1.2, 2))]
    return 0.35 + 0.25 * np.stack(waves, axis=-1)


@functools.cache
def _taken(folder: Path) -> Scene:
    """A patterned plane with a ball and a block on it, photographed by two cameras."""
    bpy_scene = build.new_scene("AgX")
    build.set_world(bpy_scene, (0.25, 0.3, 0.4))
    image = build.add_image("Pattern", build.encode_srgb(blobs()), "sRGB")
    build.add_plane("Table", build.add_material("Cloth", maps={"base_color": image}, roughness=0.8), size=3.0)
    ball = build.add_material("Ball", base_color=(0.6, 0.15, 0.1), roughness=0.5)
    build.add_sphere("Ball", ball, 0.45, (0.3, 0.1, 0.45), rows=24, columns=48)
    points = np.array([[(-0.9, -0.6, 0.0), (-0.9, -0.6, 0.7)], [(-0.3, -0.3, 0.0), (-0.3, -0.3, 0.7)]])
    build.add_mesh("Screen", [build.grid(points)], [build.add_material("Screen", base_color=(0.1, 0.3, 0.6))])
    build.add_light("POINT", (1.3, -1.2, 2.8), energy=220.0, shadow_soft_size=0.1)
    cameras = [
        build.add_camera("Left", (-1.8, -2.6, 2.2), tuple(PIVOT), lens=40.0),
        build.add_camera("Right", (2.4, -1.8, 2.4), tuple(PIVOT), lens=40.0),
    ]
    reference_settings(bpy_scene, WIDTH, HEIGHT, SAMPLES, False)
    for camera in cameras:
        render_photo(bpy_scene, camera, folder / f"{camera.name}.png")
    scene = read_scene(bpy_scene)
    scene.photos = [Photo(camera.name, str(folder / f"{camera.name}.png"), name=camera.name) for camera in cameras]
    return scene


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = Path(tmp_path_factory.getbasetemp()) / "cameras"
    folder.mkdir(exist_ok=True)
    return copy.deepcopy(_taken(folder))


def save_alpha(bpy_scene: bpy.types.Scene, camera: bpy.types.Object, path: Path) -> None:
    """The alpha of a render as a grey picture."""
    size = {"width": WIDTH, "height": HEIGHT, "samples": 16}
    alpha = render_cycles(bpy_scene, camera, path.with_suffix(".exr"), **size, direct_only=True)[::-1, :, 3]
    Image.fromarray((alpha.clip(0, 1) * 255 + 0.5).astype(np.uint8)).save(path)


def run_fit(scene: Scene, *targets: str, folder: Path | None = None, resume: bool = False) -> FitResult:
    """A fit to its end."""
    chosen = [Target(*target.split("@")) for target in targets]
    steps = fit(scene, FitSettings(targets=chosen, iterations=8, resolution=WIDTH, texture_size=32), folder, resume)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def disturb(camera: Camera, degrees: tuple[float, float, float], distance: float = 1.0, lens: float = 1.0) -> Camera:
    """A camera turned about the pivot, moved away and with another lens."""
    pose = np.array([*np.radians(degrees), 0.0, 0.0, np.log(distance)])
    return replace(camera, matrix=moved(camera.matrix, PIVOT, pose), lens=camera.lens * lens)


def fitted(result: FitResult, start: Camera) -> Camera:
    """The camera that the result gives."""
    found = next(one for one in result.cameras if one.name == start.name)
    bent = None if found.distortion is None else tuple(found.distortion)
    return replace(
        start, matrix=found.matrix, lens=found.lens, shift_x=found.shift_x, shift_y=found.shift_y, distortion=bent
    )


def off(scene: Scene, found: Camera, true: Camera) -> float:
    """Mean reprojection error in pixels over the vertices in the picture."""
    points = np.concatenate([mesh.positions for mesh in scene.meshes]).astype(np.float64)
    places = [Projection.of(camera, WIDTH, HEIGHT).project(points) for camera in (found, true)]
    inside = ((places[1][:, :2] > 0) & (places[1][:, :2] < (WIDTH, HEIGHT))).all(1)
    return float(np.linalg.norm((places[0] - places[1])[inside, :2], axis=1).mean())


def test_poses_and_a_lens_of_a_known_scene(scene: Scene) -> None:
    """Two photos by one lens; a quarter of a pixel is what is wanted of pictures five times as large."""
    true = dict(scene.cameras)
    for name, degrees in (("Left", (3.0, -2.0, 1.5)), ("Right", (-2.0, -3.0, 0.0))):
        scene.cameras[name] = replace(disturb(true[name], degrees, 1.05, 1.1), data_name="Lens")
    result = run_fit(scene, "camera", "lens")
    cameras = {name: fitted(result, scene.cameras[name]) for name in true}
    assert [off(scene, cameras[name], true[name]) < 0.25 for name in true] == [True, True]
    assert cameras["Left"].lens == cameras["Right"].lens
    assert abs(cameras["Left"].lens - 40.0) < 3 * result.cameras[0].deviations["lens"] < 0.03 * 40.0
    assert all(photo.psnr_after > photo.psnr_before + 3 for photo in result.photos)
    assert all(0 < one.deviations["rotation"] < 0.5 for one in result.cameras)


def test_a_camera_that_looks_elsewhere_is_turned_to_the_photo(scene: Scene) -> None:
    """The start sees nothing of the scene: another start is found from the photo."""
    true = scene.cameras["Left"]
    away = np.array(true.matrix)
    away[:3, :3] = away[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    scene.cameras["Left"] = replace(true, matrix=away)
    result = run_fit(scene, "camera@Left")
    assert off(scene, fitted(result, true), true) < 0.5


def test_an_outline_alone_is_enough(scene: Scene, tmp_path: Path) -> None:
    """The material is fitted, so only the mask tells; it comes from Cycles' alpha of the screen alone."""
    true = scene.cameras["Left"]
    bpy_scene = bpy.context.scene
    alone = [obj for obj in bpy_scene.objects if obj.type == "MESH" and obj.name != "Screen"]
    mask = tmp_path / "mask.png"
    for obj in alone:
        obj.is_holdout = True
    bpy_scene.render.film_transparent = True
    try:
        save_alpha(bpy_scene, bpy.data.objects["Left"], mask)
    finally:
        bpy_scene.render.film_transparent = False
        for obj in alone:
            obj.is_holdout = False
    scene.photos = [replace(scene.photos[0], mask_path=str(mask))]
    scene.cameras["Left"] = disturb(true, (3.0, 2.0, -2.0), 1.05)
    scene.meshes[[mesh.name for mesh in scene.meshes].index("Screen")].object_name = "Screen"
    result = run_fit(scene, "camera", "base_color@Screen", "lights")
    screen = replace(scene, meshes=[mesh for mesh in scene.meshes if mesh.name == "Screen"])
    assert off(screen, fitted(result, true), true) < 0.35


def bend(photo: Photo, camera: Camera, path: Path) -> Photo:
    """The photo as a lens with distortion LENS and three quarters of the field of view would have taken it."""
    with Image.open(photo.path) as opened:
        pixels = np.asarray(opened.convert("RGB"), np.float64)[::-1]
    narrow = Projection.of(replace(camera, lens=camera.lens * 1.3), WIDTH, HEIGHT)
    wide = Projection.of(camera, WIDTH, HEIGHT)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    across, up = undistort(*narrow.slopes(x, y), LENS)
    at = np.stack([HEIGHT / 2 + wide.focal[1] * up - 0.5, WIDTH / 2 + wide.focal[0] * across - 0.5])
    bent = np.stack([map_coordinates(pixels[..., c], at, order=3, mode="nearest") for c in range(3)], axis=-1)
    Image.fromarray((bent[::-1].clip(0, 255) + 0.5).astype(np.uint8)).save(path)
    return replace(photo, path=str(path))


def test_a_distorting_lens_of_two_photos(scene: Scene, tmp_path: Path) -> None:
    """LENS seen through photos of 128 pixels: k1 counts most; the photos of the result are straight."""
    true = {name: replace(camera, lens=camera.lens * 1.3) for name, camera in scene.cameras.items()}
    scene.photos = [bend(photo, scene.cameras[photo.camera], tmp_path / f"{photo.name}.png") for photo in scene.photos]
    for name, camera in true.items():
        scene.cameras[name] = replace(disturb(camera, (1.0, -1.0, 1.0), 1.02), data_name="Lens")
    result = run_fit(scene, "camera", "distortion")
    for name in true:
        found = fitted(result, scene.cameras[name])
        assert off(scene, found, replace(true[name], distortion=LENS)) < 0.25
        doubt = next(one for one in result.cameras if one.name == name).deviations["k1"]
        assert abs(found.distortion[0] - LENS[0]) < 3 * doubt
        assert doubt < abs(LENS[0])
    assert all(photo.psnr_after > 30 for photo in result.photos)


def test_what_cannot_be_found_is_said_and_not_applied(scene: Scene, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    noise = np.random.default_rng(0).integers(90, 110, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(blank)
    scene.photos[0] = replace(scene.photos[0], path=str(blank))
    scene.cameras["Right"] = disturb(scene.cameras["Right"], (1.0, 1.0, 0.0))
    result = run_fit(scene, "camera")
    assert [one.name for one in result.cameras] == ["Right"]
    assert any('Camera "Left" was not found' in warning for warning in result.warnings)


def test_a_mirrored_photo_is_refused(scene: Scene, tmp_path: Path) -> None:
    with Image.open(scene.photos[0].path) as opened:
        opened.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    scene.photos = [replace(scene.photos[0], path=str(tmp_path / "mirrored.png"))]
    with pytest.raises(SceneError, match="No camera was found"):
        run_fit(scene, "camera")


def test_nothing_known_and_no_mask_is_said_at_once(scene: Scene) -> None:
    with pytest.raises(PhotoError, match="nothing in it tells where its camera is"):
        run_fit(scene, "camera", "base_color")


def test_a_stopped_search_goes_on_where_it_was(scene: Scene, tmp_path: Path) -> None:
    scene.photos = scene.photos[:1]
    scene.cameras["Left"] = disturb(scene.cameras["Left"], (2.0, -1.0, 1.0))
    expected = run_fit(copy.deepcopy(scene), "camera")
    settings = FitSettings(targets=[Target("camera")], iterations=8, resolution=WIDTH, texture_size=32)
    steps = fit(copy.deepcopy(scene), settings, tmp_path)
    progress: list[Progress] = []
    while not progress or progress[-1].iteration < 0.5 * progress[-1].iterations:
        progress.append(next(steps))
    with pytest.raises(StopIteration) as stopped:
        steps.throw(CancelledError("stop"))
    assert stopped.value.value.cancelled
    assert stopped.value.value.cameras
    found = run_fit(copy.deepcopy(scene), "camera", folder=tmp_path, resume=True)
    np.testing.assert_array_equal(found.cameras[0].matrix, expected.cameras[0].matrix)
    assert found.cameras[0].deviations == expected.cameras[0].deviations
