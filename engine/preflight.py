# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be known to be wrong before a fit takes minutes of somebody's time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from .camera import Projection
from .errors import PhotoError, SceneError, UsageError
from .result import FitSettings
from .scene import Camera, Mesh, Photo, Scene
from .targets import resolve_targets

# Aspects that differ by less than this are the same, but for cropping by a few pixels.
_SAME_ASPECT = 0.02
# Winding number from which a point counts as inside: 1 within a closed mesh, 0 outside, 0.5 on its surface.
_INSIDE = 0.75
_EXIF_ORIENTATION = 0x0112


def preflight(scene: Scene, settings: FitSettings) -> tuple[Scene, FitSettings, list[str]]:
    """The scene with its enabled photos alone, the settings with all targets by name, and warnings for the artist.

    Needs numpy only, so that Blender can say these things before it starts the engine. Raises SceneError, PhotoError
    or UsageError for what cannot work.
    """
    photos = [photo for photo in scene.photos if photo.enabled]
    if not photos:
        scene_warnings(scene)  # a photo that could not be read says more
        raise UsageError("There is no photo to fit to; name one as --photo CAMERA=FILE or add it to the photo list.")
    for photo in photos:
        if photo.camera not in scene.cameras:
            raise SceneError(
                f'Photo "{photo.name}" belongs to the camera "{photo.camera}", which cannot be used; choose another.'
            )
        for what, path in (("file", photo.path), ("mask", photo.mask_path)):
            if path is not None and not Path(path).is_file():
                raise PhotoError(f'Photo "{photo.name}": there is no {what} "{path}"; choose it anew.')
        if photo.mask_object and all(mesh.object_name != photo.mask_object for mesh in scene.meshes):
            raise PhotoError(
                f'Photo "{photo.name}": its mask object "{photo.mask_object}" has no surface that renders; enable it '
                "for rendering, or choose another."
            )
    warnings = scene_warnings(scene)
    targets, about_targets = resolve_targets(scene, settings.targets)
    return replace(scene, photos=photos), replace(settings, targets=targets), [*warnings, *about_targets]


def view_warnings(scene: Scene) -> list[str]:
    """What the cameras make of their photos: another shape than assumed, no mesh in view, a camera inside a mesh.

    Opens the photos, so it needs the engine's packages. Raises PhotoError for a file that is no picture and SceneError
    where no camera sees anything.
    """
    warnings = []
    blind = []
    for photo in scene.photos:
        camera = scene.cameras[photo.camera]
        width, height = photo_size(photo)
        warnings += _aspect_warning(scene, photo, (width, height))
        projection = Projection.of(camera, width, height, scene.film.pixel_aspect)
        if not any(_in_view(mesh, projection) for mesh in scene.meshes):
            blind.append(photo)
            warnings.append(f'Camera "{camera.name}" of photo "{photo.name}" sees no mesh; move camera or object.')
            continue
        around = [mesh.name for mesh in scene.meshes if _encloses(mesh, camera)]
        if around:
            warnings.append(
                f'Camera "{camera.name}" of photo "{photo.name}" is inside object "{around[0]}" and sees it from '
                "within; move the camera, or turn the normals around if this is a room."
            )
    if len(blind) == len(scene.photos):
        raise SceneError(
            f'Nothing is visible: camera "{blind[0].camera}" sees no mesh in photo "{blind[0].name}"'
            f"{' and the others see none either' if len(blind) > 1 else ''}; move the camera or the object."
        )
    return warnings


def photo_size(photo: Photo) -> tuple[int, int]:
    """Width and height of the upright picture, from the file's header where that says it. Raises PhotoError."""
    from PIL import Image as PillowImage

    from .photos import load_photo

    try:
        with PillowImage.open(photo.path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)
    except (OSError, ValueError, SyntaxError):
        # OpenEXR and Radiance, or no picture at all: then this says why
        copy = replace(photo, mask_path=None)
        load_photo(copy, 64)
        assert copy.full_size is not None
        return copy.full_size


def scene_warnings(scene: Scene) -> list[str]:
    """What the reader could not take over exactly, one line each. Raises SceneError for what it found broken."""
    broken = [note for note in scene.notes if note.severity == "error"]
    if broken:
        raise SceneError(f"{broken[0].datablock}: {broken[0].message}")
    return [f"{note.datablock}: {note.message}" for note in scene.notes if note.severity != "supported"]


def _aspect_warning(scene: Scene, photo: Photo, size: tuple[int, int]) -> list[str]:
    width, height = size
    aspect_x, aspect_y = scene.film.pixel_aspect
    assumed = scene.film.width * aspect_x / (scene.film.height * aspect_y)
    if abs(np.log(width / height / assumed)) < _SAME_ASPECT:
        return []
    return [
        f'Photo "{photo.name}" has {width} x {height} pixels, another shape than the scene\'s '
        f'{scene.film.width} x {scene.film.height}; camera "{photo.camera}" is used with the photo\'s own shape. '
        "If the photo was cropped, its camera no longer fits it."
    ]


def _in_view(mesh: Mesh, projection: Projection) -> bool:
    """Whether the bounding rectangle of a triangle in front of the camera touches the picture."""
    image = projection.project(mesh.positions.astype(np.float64))[mesh.triangles]  # [T, 3, (x, y, depth)]
    depth = image[..., 2]
    camera = projection.camera
    between = (depth.max(axis=1) > camera.clip_start) & (depth.min(axis=1) < camera.clip_end)
    # a triangle that reaches behind the camera may cover anything; the few there are count as seen
    crosses = between & (depth.min(axis=1) <= camera.clip_start)
    low, high = image[..., :2].min(axis=1), image[..., :2].max(axis=1)
    touches = (low < (projection.width, projection.height)).all(axis=1) & (high > 0).all(axis=1)
    return bool((crosses | (between & touches)).any())


def _encloses(mesh: Mesh, camera: Camera) -> bool:
    """Whether the camera is inside a mesh whose faces look outwards: generalised winding number from the solid angles
    of its triangles (van Oosterom and Strackee 1983)."""
    place = np.asarray(camera.matrix, np.float64)[:3, 3]
    if not ((mesh.positions.min(axis=0) < place) & (mesh.positions.max(axis=0) > place)).all():
        return False
    a, b, c = np.moveaxis(mesh.positions.astype(np.float64)[mesh.triangles] - place, 1, 0)
    length_a, length_b, length_c = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    rest = (
        length_a * length_b * length_c
        + np.einsum("ij,ij->i", a, b) * length_c
        + np.einsum("ij,ij->i", b, c) * length_a
        + np.einsum("ij,ij->i", c, a) * length_b
    )
    return bool(np.arctan2(volume, rest).sum() / (2.0 * np.pi) > _INSIDE)
