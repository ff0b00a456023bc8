# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrated photos (``transforms.json``) -> cameras, photo list, mesh and scene settings.

Traps handled here: the sensor fit is HORIZONTAL, because AUTO changes with the aspect of the photo and scene alike;
shifts are in units of the image's width for both axes; Blender knows non-square pixels per scene only, so unequal
focal lengths become the scene's pixel aspect.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..engine.errors import PhotoError, SceneError
from ..engine.scene import Note
from ..engine.transforms_json import CalibratedPhoto, read_transforms
from . import versions
from .notes import Notes
from .photo_list import add_photo

_SENSOR_WIDTH = 36.0  # mm; only its ratio to the lens matters


@dataclass
class ImportedCameras:
    """What an import made; ``notes`` say what could not be taken over exactly."""

    scene: bpy.types.Scene
    cameras: list[bpy.types.Object] = field(default_factory=list)
    meshes: list[bpy.types.Object] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def import_cameras(
    transforms: str | os.PathLike[str],
    mesh: str | os.PathLike[str] | None = None,
    scene: bpy.types.Scene | None = None,
) -> ImportedCameras:
    """Import cameras with their photos and masks, and a mesh, into ``scene`` (default: the current one).

    The view transform becomes Standard, because the photos are display-referred already; the render size that of the
    first photo. Raises :class:`SceneError` and :class:`PhotoError` before anything changes.
    """
    scene = scene or bpy.context.scene
    source = Path(transforms)
    photos = read_transforms(source, _image_size)
    mesh_path = Path(mesh) if mesh is not None else None
    if mesh_path is not None and not mesh_path.is_file():
        raise SceneError(f"the mesh {mesh_path} does not exist. Check the path")

    notes = Notes()
    result = ImportedCameras(scene)
    if mesh_path is not None:
        result.meshes = import_mesh(mesh_path, scene)
    for photo in photos:
        camera = _add_camera(scene, photo)
        add_photo(scene, camera.name, str(photo.path), str(photo.mask_path) if photo.mask_path else None)
        result.cameras.append(camera)
        if photo.distortion:
            found = ", ".join(f"{key} = {value:g}" for key, value in photo.distortion.items())
            notes.approximated(camera, f"lens distortion ({found}) is left out. Undistort the photos to be exact")
    _set_up_scene(scene, photos, result.cameras, notes, source.name)
    result.notes = notes.as_list()
    return result


def _image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise PhotoError(f"{path} cannot be read as an image. Open it in an image viewer to check it") from error
    width, height = image.size
    bpy.data.images.remove(image)
    if not width or not height:
        raise PhotoError(f"{path} cannot be read as an image. Open it in an image viewer to check it")
    return width, height


def _add_camera(scene: bpy.types.Scene, photo: CalibratedPhoto) -> bpy.types.Object:
    """A camera object named after the photo, whose image of the photo's size is the pinhole image.

    With HORIZONTAL fit, lens = focal_x * sensor / width; a point on the axis falls on
    (w/2 - w shift_x, h/2 + w shift_y * focal_y/focal_x) (docs/blender-image-formation.md §1).
    """
    data = bpy.data.cameras.new(photo.path.stem)
    data.sensor_fit = "HORIZONTAL"
    data.sensor_width = _SENSOR_WIDTH
    data.lens = photo.focal_x * _SENSOR_WIDTH / photo.width
    data.shift_x = (photo.width / 2 - photo.centre_x) / photo.width
    data.shift_y = (photo.centre_y - photo.height / 2) / photo.width * photo.focal_x / photo.focal_y
    data.clip_start, data.clip_end = 0.01, 1000.0
    camera = bpy.data.objects.new(photo.path.stem, data)
    camera.matrix_world = Matrix(photo.matrix.tolist())
    scene.collection.objects.link(camera)
    return camera


def _set_up_scene(
    scene: bpy.types.Scene,
    photos: list[CalibratedPhoto],
    cameras: list[bpy.types.Object],
    notes: Notes,
    source: str,
) -> None:
    scene.camera = scene.camera or cameras[0]
    scene.render.resolution_x, scene.render.resolution_y = photos[0].width, photos[0].height
    scene.render.resolution_percentage = 100
    # what Likeness renders is what Cycles renders
    scene.render.engine = "CYCLES"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    if scene.world is None:
        scene.world = bpy.data.worlds.new("World")
        versions.enable_nodes(scene.world)
    ratios = np.array([photo.focal_y / photo.focal_x for photo in photos])
    # ay/ax = focal_x/focal_y; Blender's pixel aspects are at least 1
    ratio = float(np.median(ratios))
    scene.render.pixel_aspect_x = max(ratio, 1.0)
    scene.render.pixel_aspect_y = max(1 / ratio, 1.0)
    if abs(ratio - 1) > 1e-6:
        notes.add("supported", scene, f"fl_y / fl_x = {ratio:.6f} is kept as the scene's pixel aspect")
    for camera, own in zip(cameras, ratios, strict=True):
        if abs(own / ratio - 1) > 1e-6:
            notes.approximated(
                camera,
                f"{source}: fl_y / fl_x = {own:.6f} differs from the scene's pixel aspect {ratio:.6f}; "
                "the scene's is used",
            )


def import_mesh(path: Path, scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Import an OBJ, PLY, STL, GLB or glTF file with its coordinates as written (z up); GLB as its format says (y up).

    Meshes without material get a Principled one. Raises :class:`SceneError` for other or broken files.
    """
    before = set(bpy.data.objects)
    importers = {
        ".obj": lambda file: bpy.ops.wm.obj_import(filepath=file, forward_axis="Y", up_axis="Z"),
        ".ply": lambda file: bpy.ops.wm.ply_import(filepath=file, forward_axis="Y", up_axis="Z"),
        ".stl": lambda file: bpy.ops.wm.stl_import(filepath=file, forward_axis="Y", up_axis="Z"),
        ".glb": lambda file: bpy.ops.import_scene.gltf(filepath=file),
        ".gltf": lambda file: bpy.ops.import_scene.gltf(filepath=file),
    }
    importer = importers.get(path.suffix.lower())
    if importer is None:
        raise SceneError(f"{path.name}: meshes are read from {', '.join(importers)}. Convert it to one of these")
    try:
        with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
            importer(str(path))
    except RuntimeError as error:
        raise SceneError(f"{path.name} cannot be imported: {str(error).strip()}") from error
    objects = [obj for obj in bpy.data.objects if obj not in before and obj.type == "MESH"]
    if not objects:
        raise SceneError(f"{path.name} holds no mesh. Check the file")
    for obj in objects:
        if not any(slot.material for slot in obj.material_slots):
            material = bpy.data.materials.new(obj.name)
            versions.enable_nodes(material)
            obj.data.materials.clear()
            obj.data.materials.append(material)
    return objects
