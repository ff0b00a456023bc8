# SPDX-License-Identifier: GPL-3.0-or-later
"""Found cameras in Blender: what is read back is what was found, Before/After brings both, obstacles are said."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from likeness.bridge import snapshots
from likeness.bridge.photo_list import add_photo
from likeness.bridge.read_scene import read_scene
from likeness.bridge.write_camera import straightened
from likeness.bridge.write_image import new_image
from likeness.bridge.write_result import write_result
from likeness.engine.camera import Projection
from likeness.engine.errors import SceneError
from likeness.engine.result import FitResult, FitSettings, FittedCamera, Target
from likeness.engine.scene import Camera
from likeness.engine.targets import resolve_targets

pytestmark = pytest.mark.usefixtures("empty_file")
PLACE = np.array(Matrix.Translation((1.0, -2.0, 3.0)) @ Euler((0.7, 0.1, -0.4)).to_matrix().to_4x4())
BENT = [-0.2, 0.03, 0.001, -0.002, 0.01]


def camera(name: str = "Cam", **settings: float) -> bpy.types.Object:
    data = bpy.data.cameras.new(name)
    for key, value in settings.items():
        setattr(data, key, value)
    obj = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def found(*free: str, name: str = "Cam", **values: object) -> FitResult:
    """A result with one camera."""
    settings = {"lens": 35.0, "shift_x": 0.01, "shift_y": -0.02, "ortho_scale": 6.0, "distortion": None} | values
    return FitResult(cameras=[FittedCamera(name, name, list(free), PLACE, **settings)])


def read(name: str = "Cam") -> Camera:
    bpy.context.view_layer.update()
    return read_scene(bpy.context.scene).cameras[name]


@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION", "AXIS_ANGLE"])
def test_a_pose_is_read_back_whatever_the_camera_hangs_on(mode: str) -> None:
    """Parented, scaled, with deltas; parent inverse and rotation mode included."""
    obj = camera()
    parent = bpy.data.objects.new("Rig", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.matrix_world = Matrix.Translation((3.0, 1.0, 0.5)) @ Euler((0.3, 0.5, 0.2)).to_matrix().to_4x4()
    obj.parent, obj.rotation_mode, obj.scale = parent, mode, (2.0, 2.0, 2.0)
    obj.delta_location = (0.1, 0.2, 0.3)
    bpy.context.view_layer.update()
    summary = write_result(bpy.context.scene, found("camera"))
    assert summary.cameras == ["Cam"]
    np.testing.assert_allclose(read().matrix, PLACE, atol=1e-5)
    np.testing.assert_allclose(obj.scale, (2, 2, 2), rtol=1e-5)
    assert read().lens == 50.0


def test_only_what_was_free_is_written() -> None:
    obj = camera(lens=50.0)
    write_result(bpy.context.scene, found("lens", "shift"))
    assert (obj.data.lens, obj.data.shift_x, obj.data.shift_y) == pytest.approx((35.0, 0.01, -0.02))
    assert obj.matrix_world == Matrix.Identity(4)


def test_before_and_after() -> None:
    first, second = camera("Cam"), camera("Other")
    second.data = first.data
    scene = bpy.context.scene
    before = read(), read("Other")
    result = found("camera", "lens", "distortion", distortion=BENT)
    result.cameras += found("camera", "lens", "distortion", name="Other", distortion=BENT).cameras
    write_result(scene, result, keep_before=True)
    after = read(), read("Other")
    assert [one.distortion for one in after] == [tuple(BENT)] * 2
    for expected in (before, after):
        snapshots.toggle(scene)
        for one, other in zip((read(), read("Other")), expected, strict=True):
            np.testing.assert_allclose(one.matrix, other.matrix, atol=1e-6)
            assert one.lens == other.lens
            assert (one.distortion or (0.0,)) == pytest.approx(other.distortion or (0.0,), rel=1e-6)


def _constrained(obj: bpy.types.Object) -> None:
    obj.constraints.new("TRACK_TO").target = obj


def _keyed(obj: bpy.types.Object) -> None:
    obj.keyframe_insert("location")


def _driven(obj: bpy.types.Object) -> None:
    obj.driver_add("rotation_euler", 0)


@pytest.mark.parametrize(
    ("hinder", "word"), [(_constrained, "constraints"), (_keyed, "animated"), (_driven, "animated or driven")]
)
def test_what_decides_a_pose_by_itself_is_an_obstacle(hinder: object, word: str) -> None:
    """Said before a fit where the camera is named or one of many, and at the latest when it is written."""
    obj = camera()
    hinder(obj)
    scene = bpy.context.scene
    with pytest.raises(SceneError, match=word):
        write_result(scene, found("camera"))
    write_result(scene, found("lens"))
    obj.data.keyframe_insert("lens")
    with pytest.raises(SceneError, match="lens"):
        write_result(scene, found("lens"))

    add_photo(scene, "Cam", "/nowhere.png")
    shown = read_scene(scene)
    with pytest.raises(SceneError, match=word):
        resolve_targets(shown, [Target("camera", "Cam")])
    camera("Free")
    add_photo(scene, "Free", "/nowhere else.png")
    targets, warnings = resolve_targets(read_scene(scene), FitSettings(targets=[Target("camera")]).targets)
    assert targets == [Target("camera", "Free")]
    assert any(word in warning for warning in warnings)


def test_broken_values_and_lost_cameras_change_nothing() -> None:
    obj = camera()
    for result, word in (
        (found("lens", lens=float("nan")), "no camera"),
        (found("camera", name="Weg"), "not in scene"),
    ):
        with pytest.raises(SceneError, match=word):
            write_result(bpy.context.scene, result)
    assert obj.data.lens == 50.0


def test_a_straight_copy_of_the_photo_is_the_background(tmp_path: Path) -> None:
    """A grid of dots through a lens: after straightening they lie where a pinhole shows them."""
    width, height = 96, 64
    obj = camera(lens=35.0)
    bent = Projection.of(Camera("Cam", np.eye(4), lens=35.0, distortion=tuple(BENT)), width, height)
    pinhole = Projection.of(Camera("Cam", np.eye(4), lens=35.0), width, height)
    dots = np.array([(x, y, -4.0) for x in (-1.5, -0.6, 0.7, 1.4) for y in (-0.9, 0.1, 0.8)])
    y, x = np.mgrid[0:height, 0:width] + 0.5
    seen = bent.project(dots)
    pixels = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 6.0) for px, py, _ in seen)[..., None].repeat(3, -1)
    image = new_image("Photo", pixels, "sRGB", 8)
    photo = tmp_path / "foto.png"
    image.filepath_raw, image.file_format = str(photo), "PNG"
    image.save()
    add_photo(bpy.context.scene, "Cam", str(photo))
    write_result(bpy.context.scene, found("distortion", distortion=BENT))
    shown = next(one.image for one in obj.data.background_images if one.show_background_image)
    assert obj.data.show_background_images
    assert shown.name == "foto undistorted"
    assert (tmp_path / "foto undistorted.png").is_file()
    values = np.empty(width * height * 4, np.float32)
    shown.pixels.foreach_get(values)
    for px, py, _ in pinhole.project(dots):
        window = np.hypot(x - px, y - py) < 4
        weight = values.reshape(height, width, 4)[..., 0] * window
        centre = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
        assert np.hypot(centre[0] - px, centre[1] - py) < 0.15


def test_straightening_by_no_distortion_changes_nothing() -> None:
    pixels = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    projection = Projection.of(Camera("Cam", np.eye(4)), 30, 20)
    np.testing.assert_allclose(straightened(pixels, projection, [0.0] * 5), pixels, atol=1e-6)
