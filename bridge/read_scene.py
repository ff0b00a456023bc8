# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in: a Blender scene becomes an :class:`engine.scene.Scene` of plain arrays."""

from __future__ import annotations

import bpy

from ..engine.scene import Scene
from .notes import Notes
from .photo_list import read_photos
from .read_camera import read_cameras
from .read_image import ImageReader
from .read_light import read_lights
from .read_material import MaterialReader
from .read_mesh import read_meshes
from .read_view import read_film, read_view
from .read_world import read_world
from .render_levels import render_evaluation


def read_scene(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph | None = None,
    view_layer: bpy.types.ViewLayer | None = None,
    bake: int | None = None,
) -> Scene:
    """Read everything that the engine needs, as a Cycles render at render settings would see it.

    ``depsgraph``: one in RENDER mode, where the caller has it (a render engine); otherwise the scene is evaluated here
    with viewport settings set to render settings for a moment. What is not understood is in ``Scene.notes``.
    ``bake``: edge in texels of the textures that Cycles bakes where material nodes are not understood one by one;
    None: they are only named.
    Raises :class:`engine.errors.SceneError` for NaN vertices and degenerate transforms.
    """
    if depsgraph is not None and depsgraph.mode == "RENDER":
        return _read(scene, depsgraph)
    with render_evaluation(scene, view_layer) as evaluated:
        return _read(scene, evaluated, bake)


def _read(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, bake: int | None = None) -> Scene:
    notes = Notes()
    images = ImageReader(notes)
    materials = MaterialReader(images, notes)
    result = Scene(
        name=scene.name,
        view=read_view(scene, notes),
        film=read_film(scene, notes),
        cameras=read_cameras(scene, depsgraph, notes),
        meshes=read_meshes(depsgraph, materials, notes),
        lights=read_lights(depsgraph, notes),
        world=read_world(scene.world, images, notes),
        photos=read_photos(scene, notes),
    )
    materials.finish(result.meshes, depsgraph, bake)
    materials.displacements.apply(result.meshes, images.images)
    result.materials = materials.materials
    result.images = images.images
    result.notes = notes.as_list()
    return result
