# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos and their cameras: a new camera for a photo, its lens from EXIF data, the photo as its background.

Blender draws a background image into the camera's frame, whose shape is that of the render, while a photo is projected
with its own shape (engine/camera.py). The scale of the image makes both agree, whatever the shape of the render.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Matrix

from ..engine.errors import LikenessError, PhotoError, SceneError
from ..engine.photo_info import PhotoInfo
from . import photo_files
from .notes import label
from .photo_list import settings, usable_camera

# Where the camera of Blender's start-up scene stands.
_DEFAULT_PLACE = Matrix.Translation((7.359, -6.926, 4.958)) @ Euler((1.1093, 0.0, 0.8149)).to_matrix().to_4x4()
# EXIF orientation -> (mirrored left to right, mirrored top to bottom, quarter turns clockwise), applied in that order
_UPRIGHT = {
    1: (False, False, 0),
    2: (True, False, 0),
    3: (False, False, 2),
    4: (False, True, 0),
    5: (True, False, 3),
    6: (False, False, 1),
    7: (True, False, 1),
    8: (False, False, 3),
}
_SMALLEST = 1.0  # mm, of Blender's lenses and sensors
_LEAST_RESOLUTION, _MOST_RESOLUTION = 4, 65536


@dataclass
class Shown:
    """What was shown: names of cameras, what the artist should know, and the render size if it has changed."""

    cameras: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    resolution: tuple[int, int] | None = None


def add_camera(scene: bpy.types.Scene, name: str, path: str, place: Matrix | None = None) -> bpy.types.Object:
    """A new camera called ``name`` at ``place`` (world matrix), with the lens that the photo at ``path`` was taken with
    where its file says so. It becomes the camera that renders where there is none."""
    data = bpy.data.cameras.new(name)
    camera = bpy.data.objects.new(name, data)
    camera.matrix_world = _DEFAULT_PLACE if place is None else place.normalized()
    scene.collection.objects.link(camera)
    scene.camera = scene.camera or camera
    with suppress(PhotoError):  # the list says what is wrong with the file
        _set_lens(data, photo_files.photo_info(path))
    return camera


def view_place(context: bpy.types.Context) -> Matrix | None:
    """Where the 3D View looks from, as the world matrix of a camera; None without a window."""
    space = None if bpy.app.background else _view_3d(context)
    return space.region_3d.view_matrix.inverted() if space is not None else None


def set_lens_from_exif(scene: bpy.types.Scene, item: Any) -> str:
    """Give a photo's camera the lens and the sensor that its file names; returns what was done, in one line.

    The sensor fit becomes AUTO, so that the sensor's width lies along the longer side of landscapes and portraits
    alike. Raises :class:`PhotoError` where the file does not say its focal length, :class:`SceneError` where the camera
    cannot be changed.
    """
    camera = _editable_camera(scene, item)
    info = photo_files.photo_info(item.path)
    done = _set_lens(camera.data, info)
    if not done:
        raise PhotoError(
            f'Photo "{item.name}": its file does not say its focal length. '
            f'Enter it in the properties of camera "{camera.name}"'
        )
    shared = camera.data.users - 1
    others = f"; so have {shared} other cameras that share its data" if shared else ""
    return f'Camera "{camera.name}" has {done}{others}'


def _set_lens(data: bpy.types.Camera, info: PhotoInfo) -> str:
    """Set lens and sensor; returns them in words, "" where the file does not know the lens."""
    lens = info.lens
    if lens is None:
        return ""
    data.type = "PERSP"
    data.lens_unit = "MILLIMETERS"
    if lens.sensor is None:
        data.lens = max(lens.focal_length, _SMALLEST)
        return f"f = {lens.focal_length:.4g} mm from {lens.source}; its sensor is as it was, {_sensor_text(data)}"
    # only the ratio matters to the picture
    factor = max(1.0, _SMALLEST / min(lens.focal_length, *lens.sensor))
    data.sensor_fit = "AUTO"
    data.sensor_width, data.sensor_height = (side * factor for side in lens.sensor)
    data.lens = lens.focal_length * factor
    return f"f = {lens.focal_length:.4g} mm on a sensor of {_sensor_text(data)}, from {lens.source}"


def _sensor_text(data: bpy.types.Camera) -> str:
    return f"{data.sensor_width:.4g} x {data.sensor_height:.4g} mm"


def show_photos(scene: bpy.types.Scene, indices: list[int], active: int, set_resolution: bool) -> Shown:
    """Make photos the background images of their cameras, and the camera of photo ``active`` the one that renders.

    A photo lines up with the camera as a fit takes it, upright and with its own shape. With ``set_resolution`` renders
    get the size of the active photo, and so the camera's frame its shape; without, photo and frame differ in shape but
    still line up. Of several photos of a camera the last one is seen. Where one of several cannot be shown it is
    left out; where none can, or the active one cannot, its error is raised and nothing has changed.
    """
    listed = settings(scene).photos
    shown = Shown()
    before = set(bpy.data.images)
    ready: dict[int, tuple[bpy.types.Object, bpy.types.Image]] = {}
    for index in sorted(indices, key=lambda index: index == active):  # the active one last: it is seen
        item = listed[index]
        try:
            info = photo_files.photo_info(item.path)
            ready[index] = _editable_camera(scene, item), _load_image(item, info)
        except LikenessError as error:
            if index == active:
                for made in set(bpy.data.images) - before:
                    bpy.data.images.remove(made)
                raise
            shown.notes.append(f"Left out: {error}")
    if set_resolution:
        shown.resolution = _set_resolution(scene, photo_files.photo_info(listed[active].path).size)
    for camera, image in ready.values():
        _show(camera.data, image)
        sharing = {other for other, _ in ready.values() if other.data == camera.data}
        if len(sharing) > 1:
            shown.notes.append(
                f"{label(camera.data)} is shared by {len(sharing)} of these cameras, which all show the same photo. "
                "Give each its own (Object > Relations > Make Single User > Object & Data)"
            )
    scene.camera = ready[active][0]
    shown.cameras = list(dict.fromkeys(camera.name for camera, _ in ready.values()))
    shown.notes = list(dict.fromkeys(shown.notes))
    _align_all(scene)
    return shown


def show_image(scene: bpy.types.Scene, data: bpy.types.Camera, image: bpy.types.Image) -> None:
    """Make an upright picture with the shape of the camera's photo its one background image."""
    _show(data, image)
    width, height = image.size
    _align(scene, data, _background(data, image), PhotoInfo("PNG", width, height))


def upright_pixels(item: Any) -> np.ndarray:
    """The stored values [H, W, 3] of a photo, upright, row 0 at the bottom. Raises :class:`PhotoError`."""
    info = photo_files.photo_info(item.path)
    before = set(bpy.data.images)
    image = _load_image(item, info)
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, image.channels)
    if image not in before:
        bpy.data.images.remove(image)
    pixels = np.repeat(pixels[..., :1], 3, axis=-1) if pixels.shape[2] < 3 else pixels[..., :3]
    across, down, turns = _UPRIGHT[info.exif.orientation]
    pixels = pixels[:, ::-1] if across else pixels
    pixels = pixels[::-1] if down else pixels
    return np.ascontiguousarray(np.rot90(pixels, turns))  # rows go up: a positive turn is clockwise


def look_through_camera(context: bpy.types.Context) -> None:
    """Let the 3D View look through the camera that renders."""
    space = _view_3d(context)
    if space is not None and space.region_3d is not None:
        space.region_3d.view_perspective = "CAMERA"
        if space.use_local_camera:
            space.camera = context.scene.camera


def _view_3d(context: bpy.types.Context) -> Any:
    """The 3D View of the context, else the first one of its screen."""
    if context.space_data is not None and context.space_data.type == "VIEW_3D":
        return context.space_data
    areas = context.screen.areas if context.screen is not None else ()
    return next((area.spaces.active for area in areas if area.type == "VIEW_3D"), None)


def _editable_camera(scene: bpy.types.Scene, item: Any) -> bpy.types.Object:
    camera = usable_camera(scene, item)
    if camera.data.library is not None:
        raise SceneError(
            f'Photo "{item.name}": {label(camera.data)} is linked and cannot be changed. '
            "Make it local (Object > Relations > Make Local) or override it (Make Library Override)"
        )
    return camera


def _load_image(item: Any, info: PhotoInfo) -> bpy.types.Image:
    """The image datablock of a photo. Raises :class:`PhotoError` where Blender cannot load it."""
    before = set(bpy.data.images)
    try:
        image = bpy.data.images.load(photo_files.absolute_path(item.path), check_existing=True)
        if tuple(image.size) != (info.width, info.height):  # another picture than when it was loaded
            image.reload()
    except RuntimeError:
        image = None
    if image is None or not image.size[0]:
        if image is not None and image not in before:
            bpy.data.images.remove(image)
        raise PhotoError(f'Photo "{item.name}": Blender cannot load "{item.path}". Save it again as PNG or JPEG')
    if image not in before and item.path.startswith("//"):
        image.filepath = item.path
    return image


def _set_resolution(scene: bpy.types.Scene, size: tuple[int, int]) -> tuple[int, int] | None:
    """Let renders have the photo's shape, and its size where Blender can; returns it if it was another."""
    render = scene.render
    factor = min(1.0, _MOST_RESOLUTION / max(size))
    width, height = (max(round(side * factor), _LEAST_RESOLUTION) for side in size)
    if (render.resolution_x, render.resolution_y) == (width, height):
        return None
    render.resolution_x, render.resolution_y = width, height
    return width, height


def _show(data: bpy.types.Camera, image: bpy.types.Image) -> None:
    """Show this image in the background and no other."""
    background = _background(data, image)
    if background is None:
        background = data.background_images.new()
        background.image = image
    for other in data.background_images:
        other.show_background_image = other == background
    data.show_background_images = True


def _background(data: bpy.types.Camera, image: bpy.types.Image) -> Any:
    return next((one for one in data.background_images if one.source == "IMAGE" and one.image == image), None)


def _align_all(scene: bpy.types.Scene) -> None:
    """Line up the backgrounds of all photos of the list: the shape of the render may be another than before."""
    images = {photo_files.absolute_path(image.filepath): image for image in bpy.data.images if image.filepath}
    for item in settings(scene).photos:
        image = images.get(photo_files.absolute_path(item.path)) if item.path else None
        if item.camera is None or item.camera.data.library is not None or image is None:
            continue
        background = _background(item.camera.data, image)
        try:
            info = photo_files.photo_info(item.path)
        except PhotoError:
            continue
        if background is not None:
            _align(scene, item.camera.data, background, info)


def _align(scene: bpy.types.Scene, data: bpy.types.Camera, background: Any, info: PhotoInfo) -> None:
    """Turn the image upright and scale it so that the camera sees it as it projects the photo.

    The sensor spans the width or the height of a picture. In units of that, the photo is ``of_photo`` wide, and the
    frame that Blender draws it into ``of_frame``.
    """
    render, image = scene.render, background.image
    pixel = render.pixel_aspect_x / render.pixel_aspect_y
    frame = render.resolution_x / render.resolution_y * pixel
    photo = info.size[0] / info.size[1] * pixel
    of_photo, of_frame = (1.0 if _spans_width(data, shape) else shape for shape in (photo, frame))
    across, down, turns = _UPRIGHT[info.exif.orientation]
    # FIT makes the stored picture as large as it fits into the frame, whose height is 1 here, and turns it afterwards
    stored = 1 / photo if info.turned else photo
    width, height = (frame, frame / stored) if stored > frame else (stored, 1.0)
    background.frame_method = "FIT"
    background.offset = (0.0, 0.0)
    background.scale = of_photo / of_frame * frame / (height if info.turned else width)
    background.rotation = turns * math.pi / 2
    background.use_flip_x, background.use_flip_y = across, down
    # non-square pixels: of the scene for the photo, of the image for the drawing
    aspect = max(pixel, 1.0), max(1 / pixel, 1.0)
    aspect = aspect[::-1] if info.turned else aspect
    if tuple(image.display_aspect) != aspect:
        image.display_aspect = aspect


def _spans_width(data: bpy.types.Camera, shape: float) -> bool:
    return data.sensor_fit == "HORIZONTAL" or (data.sensor_fit == "AUTO" and shape > 1)
