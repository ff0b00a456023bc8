# SPDX-License-Identifier: GPL-3.0-or-later
"""What Likeness makes of a scene: supported, approximated, ignored or wrong, datablock by datablock."""

from __future__ import annotations

import os

import bpy

from ..engine.errors import SceneError
from ..engine.scene import Note, Scene
from .notes import Notes
from .read_image import DERIVED
from .read_material import NO_MATERIAL
from .read_scene import read_scene

_ORDER = {"error": 0, "ignored": 1, "approximated": 2, "supported": 3}


def check(scene: bpy.types.Scene) -> list[Note]:
    """All findings about a scene, the worst first; a datablock without findings is named as supported.

    What would stop a fit with a :class:`SceneError` is an "error" note here.
    """
    try:
        read = read_scene(scene)
    except SceneError as error:
        return [Note("error", f'Scene "{scene.name}"', str(error))]
    notes = Notes()
    for note in read.notes:
        notes.add(note.severity, note.datablock, note.message)
    _check_meshes(read, notes)
    _check_cameras_and_photos(scene, read, notes)
    _check_light(read, notes)
    _name_the_supported(read, notes)
    return sorted(notes.as_list(), key=lambda note: _ORDER[note.severity])


def _check_meshes(read: Scene, notes: Notes) -> None:
    if not read.meshes:
        notes.error(f'Scene "{read.name}"', "no visible mesh. Add one, or make it visible in renders")
    for mesh in read.meshes:
        if mesh.active_uv is None and mesh.material_names != [NO_MATERIAL]:
            notes.approximated(
                f'Object "{mesh.object_name}"',
                "has no UV map: its textures cannot be shown or fitted. Unwrap it (UV > Smart UV Project)",
            )


def _check_cameras_and_photos(scene: bpy.types.Scene, read: Scene, notes: Notes) -> None:
    if not read.cameras:
        notes.error(f'Scene "{read.name}"', "no camera. Add one for each photo, or import cameras")
    for photo in read.photos:
        owner = f'Photo "{photo.name}"'
        if photo.camera not in read.cameras:
            notes.error(owner, f'its camera "{photo.camera}" is not among the usable cameras of the scene')
        for what, path in (("file", photo.path), ("mask", photo.mask_path)):
            if path is not None and not os.path.isfile(path):
                notes.error(owner, f"its {what} {path} does not exist. Choose it again in the photo list")


def _check_light(read: Scene, notes: Notes) -> None:
    world_is_dark = read.world.strength == 0 or (read.world.image is None and not read.world.color.any())
    emits = any(
        material.emission_strength.texture is not None or material.emission_strength.value.any()
        for material in read.materials.values()
    )
    if not read.lights and world_is_dark and not emits:
        notes.approximated(f'Scene "{read.name}"', "nothing emits light: renders are black")


def _name_the_supported(read: Scene, notes: Notes) -> None:
    named = {note.datablock for note in notes.as_list()}
    datablocks = [f'Object "{mesh.object_name}"' for mesh in read.meshes]
    datablocks += [f'Material "{name}"' for name in read.materials if name != NO_MATERIAL]
    datablocks += [f'Image "{name}"' for name in read.images if not name.startswith(DERIVED)]
    datablocks += [f'Light "{light.name}"' for light in read.lights]
    datablocks += [f'Object "{name}"' for name in read.cameras]
    datablocks += [f'World "{read.world.name}"'] if read.world.name else []
    datablocks += [f'Photo "{photo.name}"' for photo in read.photos]
    for datablock in datablocks:
        if datablock not in named:
            notes.add("supported", datablock, "is read as it is")
