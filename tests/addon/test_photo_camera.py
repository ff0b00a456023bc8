# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos behind the scene and lenses from EXIF data: Blender's camera frame against the engine's projection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector
from PIL import Image as PillowImage
from PIL import ImageOps

from likeness.bridge import photo_files, photo_list
from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection

pytestmark = pytest.mark.usefixtures("addon")

ORIENTATION, EXIF_IFD = 0x0112, 0x8769
FOCAL_LENGTH, FOCAL_LENGTH_35, FOCAL_PLANE_X, FOCAL_PLANE_UNIT = 0x920A, 0xA405, 0xA20E, 0xA210


def photo_file(path: Path, size: tuple[int, int], orientation: int = 1, **tags: Any) -> Path:
    """A picture whose pixels all differ, with EXIF data."""
    exif = PillowImage.Exif()
    exif[ORIENTATION] = orientation
    exif.get_ifd(EXIF_IFD).update({globals()[name]: value for name, value in tags.items()})
    row, column = np.mgrid[: size[1], : size[0]]
    pixels = np.dstack([row, column, row * 0]).astype(np.uint8)
    PillowImage.fromarray(pixels).save(path, exif=exif.tobytes())
    return path


def add(path: Path, camera: str = "Camera") -> Any:
    return photo_list.add_photo(bpy.context.scene, camera, str(path))


def camera(name: str = "Camera") -> bpy.types.Object:
    scene = bpy.context.scene
    if name not in scene.objects:
        scene.collection.objects.link(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
    return scene.objects[name]


def where_blender_draws(obj: bpy.types.Object, u: float, v: float) -> Vector:
    """The camera-space point at which Blender draws the point (u, v) of the background's stored picture, from the lower
    left: fitted into the camera's frame, mirrored, then turned clockwise about its middle."""
    (background,) = (one for one in obj.data.background_images if one.show_background_image)
    assert background.frame_method == "FIT"
    corners = obj.data.view_frame(scene=bpy.context.scene)  # top right, bottom right, bottom left, top left
    middle = sum(corners, Vector()) / 4
    width, height = (corners[0] - corners[3]).length, (corners[0] - corners[1]).length
    image = background.image
    shape = image.size[0] * image.display_aspect[0] / (image.size[1] * image.display_aspect[1])
    across, up = (width, width / shape) if shape > width / height else (height * shape, height)
    x = (u - 0.5) * across * background.scale * (-1 if background.use_flip_x else 1)
    y = (v - 0.5) * up * background.scale * (-1 if background.use_flip_y else 1)
    return Matrix.Rotation(-background.rotation, 3, "Z") @ Vector((x, y, 0.0)) + middle


def mismatch(obj: bpy.types.Object, file: Path) -> float:
    """The largest distance, in pixels, between where the engine and where Blender put a pixel of a photo."""
    with PillowImage.open(file) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored))
        width, height = stored.size
    cameras = read_scene(bpy.context.scene)
    projection = Projection.of(cameras.cameras[obj.name], upright.shape[1], upright.shape[0], cameras.film.pixel_aspect)
    distances = []
    for row, column in itertools.product((0, height // 3, height - 1), (0, width // 4, width - 1)):
        point = where_blender_draws(obj, (column + 0.5) / width, 1 - (row + 0.5) / height)
        x, y, _ = projection.project(np.array(obj.matrix_world.normalized() @ point))
        ((down, right),) = np.argwhere((upright[..., 0] == row) & (upright[..., 1] == column))
        distances.append(math.hypot(x - right - 0.5, y - (upright.shape[0] - down - 0.5)))
    return max(distances)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_of_any_orientation_lie_where_the_engine_projects_them(tmp_path: Path, orientation: int) -> None:
    file = photo_file(tmp_path / "ä.png", (90, 60), orientation)
    add(file)
    camera().data.shift_x, camera().data.shift_y = 0.1, -0.2
    assert bpy.ops.likeness.photo_show() == {"FINISHED"}
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == ((90, 60) if orientation < 5 else (60, 90))
    assert mismatch(camera(), file) < 1e-2
    # without the photo's shape
    render.resolution_x, render.resolution_y = 160, 90
    assert bpy.ops.likeness.photo_show(set_resolution=False) == {"FINISHED"}
    assert (render.resolution_x, render.resolution_y) == (160, 90)
    assert mismatch(camera(), file) < 1e-2
    assert len(camera().data.background_images) == 1


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("photo", [(90, 60), (60, 90)])
@pytest.mark.parametrize("frame", [(160, 90), (90, 160), (100, 80)])
def test_photos_line_up_in_frames_of_any_shape(
    tmp_path: Path, kind: str, fit: str, photo: tuple[int, int], frame: tuple[int, int]
) -> None:
    file = photo_file(tmp_path / "a.png", photo, 6)
    add(file)
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = frame
    render.pixel_aspect_x, render.pixel_aspect_y = 1.0, 1.25
    data = camera().data
    data.type, data.sensor_fit, data.sensor_height, data.shift_y = kind, fit, 20.0, 0.15
    bpy.ops.likeness.photo_show(set_resolution=False)
    assert mismatch(camera(), file) < 1e-2


def test_landscapes_and_portraits_mixed(tmp_path: Path) -> None:
    files = {"Camera": photo_file(tmp_path / "a.png", (90, 60)), "Portrait": photo_file(tmp_path / "b.png", (50, 80))}
    for name, file in files.items():
        camera(name)
        add(file, name)
    add(photo_file(tmp_path / "c.png", (64, 64)), "Camera")
    add(tmp_path / "gone.png", "Camera")
    bpy.context.scene.likeness.active_photo = 1
    assert bpy.ops.likeness.photo_show(all=True) == {"FINISHED"}
    scene = bpy.context.scene
    assert scene.camera.name == "Portrait"
    assert (scene.render.resolution_x, scene.render.resolution_y) == (50, 80)
    assert mismatch(camera("Portrait"), files["Portrait"]) < 1e-2
    assert mismatch(camera(), tmp_path / "c.png") < 1e-2
    # of two photos of a camera the shown one is seen; the other camera's stays in place in a frame of another shape
    scene.likeness.active_photo = 0
    bpy.ops.likeness.photo_show()
    assert scene.camera.name == "Camera"
    assert mismatch(camera(), files["Camera"]) < 1e-2
    assert mismatch(camera("Portrait"), files["Portrait"]) < 1e-2
    assert len(camera().data.background_images) == 2
    # what cannot be shown is an error where it was asked for
    scene.likeness.active_photo = 3
    with pytest.raises(RuntimeError, match=r"gone\.png"):
        bpy.ops.likeness.photo_show(all=True)
    assert scene.camera.name == "Camera"


def test_cameras_that_share_their_data_are_pointed_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    twin = bpy.data.objects.new("Twin", camera().data)
    bpy.context.scene.collection.objects.link(twin)
    add(photo_file(tmp_path / "a.png", (90, 60)))
    add(photo_file(tmp_path / "b.png", (90, 60)), "Twin")
    bpy.ops.likeness.photo_show(all=True)
    assert 'Camera "Camera" is shared by 2 of these cameras' in capfd.readouterr().out


def test_show_looks_through_the_camera(tmp_path: Path) -> None:
    add(photo_file(tmp_path / "a.png", (90, 60)))
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, screen=window.screen):
        bpy.ops.likeness.photo_show()
        view = next(area.spaces.active for area in window.screen.areas if area.type == "VIEW_3D")
    assert view.region_3d.view_perspective == "CAMERA"
    assert camera().data.show_background_images


@pytest.fixture
def linked_camera(tmp_path: Path) -> Iterator[bpy.types.Object]:
    """A camera of another file, linked into the scene."""
    camera("Fern").location = (0, -5, 0)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"), check_existing=False)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["Fern"]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    yield wanted.objects[0]
    bpy.ops.wm.read_factory_settings()


def test_a_linked_camera_is_a_named_error(tmp_path: Path, linked_camera: bpy.types.Object) -> None:
    item = bpy.context.scene.likeness.photos.add()
    item.name, item.camera = "a", linked_camera
    item.path = str(photo_file(tmp_path / "a.jpg", (90, 60), FOCAL_LENGTH=24.0))
    render = bpy.context.scene.render
    before = (render.resolution_x, len(bpy.data.images), bpy.context.scene.camera)
    for operator in (bpy.ops.likeness.photo_show, bpy.ops.likeness.camera_from_exif):
        with pytest.raises(RuntimeError, match=r'"a": Camera "Fern.*library.blend.*linked') as caught:
            operator()
        assert "Make Local" in str(caught.value)
    assert (render.resolution_x, len(bpy.data.images), bpy.context.scene.camera) == before


def test_an_overridden_camera_shows_its_photo(tmp_path: Path, linked_camera: bpy.types.Object) -> None:
    override = linked_camera.override_create(remap_local_usages=True)
    override.data.override_create(remap_local_usages=True)
    override.data.shift_x = 0.1
    item = bpy.context.scene.likeness.photos.add()
    item.camera, item.name = override, "a"
    file = photo_file(tmp_path / "a.jpg", (90, 60), FOCAL_LENGTH_35=24)
    item.path = str(file)
    assert bpy.ops.likeness.photo_show() == {"FINISHED"}
    assert bpy.ops.likeness.camera_from_exif() == {"FINISHED"}
    assert override.data.lens == pytest.approx(24)
    (background,) = override.data.background_images
    assert background.image.filepath == str(file)


def test_a_file_that_has_changed_is_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_files, "_LOOK_AGAIN", 0.0)
    add(photo_file(tmp_path / "a.png", (90, 60)))
    bpy.ops.likeness.photo_show()
    file = photo_file(tmp_path / "a.png", (50, 80))
    bpy.ops.likeness.photo_show()
    assert tuple(camera().data.background_images[0].image.size) == (50, 80)
    assert mismatch(camera(), file) < 1e-2


def test_a_linked_camera_is_not_its_local_namesake(tmp_path: Path, linked_camera: bpy.types.Object) -> None:
    scene = bpy.context.scene
    camera().name = "Fern"
    camera("Fern").data.lens = 80
    for number, obj in enumerate(obj for obj in scene.objects if obj.type == "CAMERA"):
        item = scene.likeness.photos.add()
        item.camera, item.name, item.path = obj, str(number), str(tmp_path / "a.jpg")
    read = read_scene(scene)
    assert [obj.data.lens for obj in (item.camera for item in scene.likeness.photos)] == [
        read.cameras[photo.camera].lens for photo in read.photos
    ]
    assert {camera.lens for camera in read.cameras.values()} == {50.0, 80.0}


@pytest.mark.parametrize(("size", "orientation"), [((90, 60), 1), ((90, 60), 6), ((60, 90), 1)])
def test_lens_and_sensor_from_the_focal_plane(tmp_path: Path, size: tuple[int, int], orientation: int) -> None:
    """24 mm on 36 x 24 mm see 2 atan(18 / 24) along the longer side, however the camera was held."""
    file = photo_file(tmp_path / "a.jpg", size, orientation, FOCAL_LENGTH=24.0, FOCAL_PLANE_X=25.0, FOCAL_PLANE_UNIT=3)
    add(file)
    camera().data.sensor_fit = "VERTICAL"
    assert bpy.ops.likeness.camera_from_exif() == {"FINISHED"}
    bpy.ops.likeness.photo_show()
    corners = camera().data.view_frame(scene=bpy.context.scene)
    sides = sorted(((corners[0] - corners[3]).length, (corners[0] - corners[1]).length))
    half_angles = [math.atan(side / 2 / -corners[0].z) for side in sides]
    assert half_angles == pytest.approx([math.atan(12 / 24), math.atan(18 / 24)], rel=1e-4)
    portrait = (size[0] < size[1]) != (orientation == 6)
    assert ((corners[0] - corners[3]).length < (corners[0] - corners[1]).length) == portrait


def test_other_ways_to_know_a_lens(tmp_path: Path) -> None:
    item = add(photo_file(tmp_path / "a.jpg", (80, 60), FOCAL_LENGTH=4.25, FOCAL_LENGTH_35=26))
    bpy.ops.likeness.camera_from_exif()
    data = camera().data
    diagonal = math.hypot(data.sensor_width, data.sensor_height)
    assert (data.lens, diagonal / data.lens) == pytest.approx((4.25, math.hypot(36, 24) / 26), rel=1e-5)
    assert data.sensor_width / data.sensor_height == pytest.approx(4 / 3, rel=1e-5)
    item.path = str(photo_file(tmp_path / "b.jpg", (80, 60), FOCAL_LENGTH=35.0))
    bpy.ops.likeness.camera_from_exif()
    assert (data.lens, math.hypot(data.sensor_width, data.sensor_height)) == pytest.approx((35, diagonal), rel=1e-5)
    item.path = str(photo_file(tmp_path / "c.jpg", (80, 60)))
    with pytest.raises(RuntimeError, match='"a": its file does not say its focal length'):
        bpy.ops.likeness.camera_from_exif()
    assert data.lens == pytest.approx(35)


def test_undo_takes_background_and_lens_back(tmp_path: Path) -> None:
    add(photo_file(tmp_path / "a.jpg", (90, 60), FOCAL_LENGTH_35=24))
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, screen=window.screen):
        bpy.ops.ed.undo_push(message="before")
        images = len(bpy.data.images)
        bpy.ops.likeness.photo_show("EXEC_DEFAULT", True)
        bpy.ops.likeness.camera_from_exif("EXEC_DEFAULT", True)
        assert camera().data.lens == pytest.approx(24)
        bpy.ops.ed.undo()
        assert camera().data.lens == pytest.approx(50)
        assert len(camera().data.background_images) == 1
        bpy.ops.ed.undo()
    assert len(camera().data.background_images) == 0
    assert bpy.context.scene.render.resolution_x == 1920
    assert len(bpy.data.images) == images
