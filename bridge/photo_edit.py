# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the photo list as a whole: many photos at once, copies, order, files that have moved."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from typing import Any

import bpy
from mathutils import Matrix

from ..engine.errors import SceneError, UsageError
from . import photo_files
from .photo_camera import add_camera
from .photo_list import add_photo, camera_object, settings, unique_name

# Folders below these are caches and rubbish bins; no photos are looked for there.
_HIDDEN = (".", "$")


def add_photos(
    scene: bpy.types.Scene,
    paths: Sequence[str],
    camera_name: str = "",
    new_cameras: bool = False,
    place: Matrix | None = None,
) -> list[Any]:
    """Append photos to the list; returns their entries.

    A photo that is named like a camera of the scene goes to it. The others go to ``camera_name`` (by default the
    camera that renders, or else the first), or each to a new camera at ``place`` with ``new_cameras``. Raises
    :class:`UsageError` without photos and :class:`SceneError` where there is no such camera, with nothing changed.
    """
    if not paths:
        raise UsageError("No photo was chosen")
    names = [obj.name for obj in scene.objects if obj.type == "CAMERA"]
    exactly = {_normal(name): name for name in names}
    loosely = {_comparable(name): name for name in reversed(names)}
    if camera_name:
        camera_object(scene, camera_name)
    elif scene.camera is not None and scene.camera.name in names:
        camera_name = scene.camera.name
    else:
        camera_name = names[0] if names else ""
    stems = [os.path.splitext(photo_files.file_name(path))[0] for path in paths]
    if not camera_name and not new_cameras:
        raise SceneError(f'Scene "{scene.name}" has no camera. Add the photos with New Cameras, or add a camera first')
    indices = []
    for path, stem in zip(paths, stems, strict=True):
        name = exactly.get(_normal(stem)) or loosely.get(_comparable(stem))
        if name is None:
            name = add_camera(scene, stem, path, place).name if new_cameras else camera_name
        indices.append(_index(scene, add_photo(scene, name, path)))
    settings(scene).active_photo = indices[-1]
    return [settings(scene).photos[index] for index in indices]


def _index(scene: bpy.types.Scene, item: Any) -> int:
    """Where an entry is in the list. Unlike the entry itself this outlives the next addition, which moves all entries
    in memory."""
    return list(settings(scene).photos).index(item)


def photos_from_backgrounds(scene: bpy.types.Scene) -> tuple[list[Any], list[str]]:
    """Add the background images of all cameras to the list; returns the entries, and what was left out.

    Raises :class:`SceneError` where no camera has a background image with a file.
    """
    indices, left_out = [], []
    for camera in [obj for obj in scene.objects if obj.type == "CAMERA"]:
        for background in camera.data.background_images:
            if not background.show_background_image:
                continue
            image = background.image
            if background.source != "IMAGE" or (image is not None and image.source in ("MOVIE", "SEQUENCE")):
                left_out.append(f'camera "{camera.name}": its background is a film; save the frame as an image')
            elif image is not None:
                path = bpy.path.abspath(image.filepath, library=image.library) if image.filepath else ""
                if os.path.isfile(path):
                    indices.append(_index(scene, add_photo(scene, camera.name, path)))
                else:
                    left_out.append(f'camera "{camera.name}": image "{image.name}" has no file; save it first')
    if not indices:
        why = f": {left_out[0]}" if left_out else ""
        raise SceneError(f'No camera of scene "{scene.name}" has a background image with a file{why}')
    return [settings(scene).photos[index] for index in indices], left_out


def duplicate_photo(scene: bpy.types.Scene, index: int) -> Any:
    """A copy of an entry, right below it."""
    stored = settings(scene)
    copy = stored.photos.add()
    original = stored.photos[index]  # only now: see _index
    for prop in original.bl_rna.properties:
        if not prop.is_readonly:
            setattr(copy, prop.identifier, getattr(original, prop.identifier))
    copy.name = unique_name(stored.photos, original.name)
    stored.photos.move(len(stored.photos) - 1, index + 1)
    stored.active_photo = index + 1
    return stored.photos[index + 1]


def move_photo(scene: bpy.types.Scene, index: int, step: int) -> None:
    """Move an entry up (-1) or down (1); at the end of the list it stays."""
    stored = settings(scene)
    target = min(max(index + step, 0), len(stored.photos) - 1)
    stored.photos.move(index, target)
    stored.active_photo = target


def remove_photos(scene: bpy.types.Scene, indices: Sequence[int]) -> None:
    """Take entries out of the list. The photo that was active stays so, or the next one becomes it."""
    stored = settings(scene)
    active = stored.active_photo - sum(index < stored.active_photo for index in indices)
    for index in sorted(indices, reverse=True):
        stored.photos.remove(index)
    stored.active_photo = max(0, min(active, len(stored.photos) - 1))


def missing_photos(scene: bpy.types.Scene) -> list[int]:
    """Entries whose photo is chosen and not there."""
    return [index for index, item in enumerate(settings(scene).photos) if photo_files.is_missing(item.path)]


def relocate_photos(scene: bpy.types.Scene, folder: str) -> tuple[int, list[str]]:
    """Look for missing photos and masks by name in a folder and those below it.

    Of several files of that name the one counts whose folders are called most like before. Returns how many were
    found, and the names of those that were not. Raises :class:`SceneError` where there is no such folder, or nothing
    was found.
    """
    if not os.path.isdir(folder):
        raise SceneError(f'There is no folder "{folder}". Choose the one that has the photos')
    wanted = [
        (item, name)
        for item in settings(scene).photos
        for name in ("path", "mask_path")
        if photo_files.is_missing(getattr(item, name))
    ]
    files = _files_named({_comparable(photo_files.file_name(getattr(item, name))) for item, name in wanted}, folder)
    found, lost = 0, []
    for item, name in wanted:
        before = getattr(item, name)
        candidates = files.get(_comparable(photo_files.file_name(before)), [])
        if not candidates:
            lost.append(photo_files.file_name(before))
            continue
        best = max(candidates, key=lambda path, before=before: _likeness(path, before))  # type: ignore[misc]
        setattr(item, name, photo_files.stored_path(best))
        found += 1
    if wanted and not found:
        raise SceneError(f'None of the {len(lost)} missing files is in "{folder}", such as "{lost[0]}"')
    return found, lost


def _files_named(names: set[str], folder: str) -> dict[str, list[str]]:
    """Paths by comparable name, those nearest to ``folder`` first."""
    files: dict[str, list[str]] = {}
    for place, folders, here in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(_HIDDEN))
        for file in here:
            if _comparable(file) in names:
                files.setdefault(_comparable(file), []).append(os.path.join(place, file))
    for paths in files.values():
        paths.sort(key=lambda path: (path.count(os.sep), path))
    return files


def _likeness(path: str, before: str) -> int:
    """How many of the last parts of two paths are equal."""
    parts = zip(*(reversed(_comparable(one).replace("\\", "/").split("/")) for one in (path, before)), strict=False)
    return next((count for count, (a, b) in enumerate(parts) if a != b), 99)


def _comparable(name: str) -> str:
    """A name as people compare them: cameras write ".JPG"."""
    return _normal(name).casefold()


def _normal(name: str) -> str:
    """A name with one character for each letter: macOS writes "ä" as two."""
    return unicodedata.normalize("NFC", name)
