# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buttons of the pre-flight check do. Each works without a window and says what it did.

Linked data is left alone. A fix finds its datablock by full name, checks all it needs first, and raises
:class:`engine.errors.SceneError` before anything has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

from ..engine.errors import SceneError
from . import fix_data, fix_material, presets, session, target_rows, versions
from .survey import survey
from .unwrap import unwrap

_MARGIN = 1.3  # a new camera sees this much more than the objects


@dataclass(frozen=True)
class Fix:
    """A fix: the text of its button, its tooltip, and what it does to a scene and the datablock that is named."""

    label: str
    description: str
    do: Callable[[bpy.types.Scene, str], str]


def run_fix(scene: bpy.types.Scene, kind: str, argument: str) -> str:
    """Do a fix and bring the rows of the scene up to date; returns one sentence. Raises :class:`SceneError`."""
    message = FIXES[kind].do(scene, argument)
    if scene.likeness.targets.one_by_one:
        target_rows.refresh(scene)
    return message


def _editable(scene: bpy.types.Scene) -> None:
    if scene.library is not None:
        raise SceneError(f'Scene "{scene.name_full}" is linked from another file and stays as it is. Open that file')


def _add_camera(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    data = bpy.data.cameras.new("Camera")
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    low, high = _bounds(scene)
    center, radius = (low + high) / 2, max((high - low).length / 2, 0.01)
    direction = Vector((1.0, -1.5, 0.8)).normalized()
    distance = _MARGIN * radius / max(0.05, 0.5 * min(data.sensor_width, data.sensor_height) / data.lens)
    rotation = direction.to_track_quat("Z", "Y").to_matrix().to_4x4()
    camera.matrix_world = Matrix.Translation(center + direction * distance) @ rotation
    data.clip_end = max(data.clip_end, distance + 2 * radius)
    scene.camera = scene.camera or camera
    return f'Added camera "{camera.name}", which sees all objects. Move it to where the photo was taken from'


def _bounds(scene: bpy.types.Scene) -> tuple[Vector, Vector]:
    """Corners of the box around all surfaces, as of the last evaluation."""
    corners = [obj.matrix_world @ Vector(corner) for obj in survey(scene).surfaces for corner in obj.bound_box]
    if not corners:
        return Vector((-1, -1, -1)), Vector((1, 1, 1))
    return tuple(Vector(pick(corner[axis] for corner in corners) for axis in range(3)) for pick in (min, max))


def _assign_camera(scene: bpy.types.Scene, name: str) -> str:
    _editable(scene)
    photo = next((photo for photo in scene.likeness.photos if photo.name == name), None)
    if photo is None:
        raise SceneError(f'There is no photo "{name}" in the list any more. Check again')
    cameras = [obj for obj in scene.objects if obj.type == "CAMERA"]
    if not cameras:
        raise SceneError(f'Scene "{scene.name}" has no camera for photo "{name}". Add one first')
    photo.camera = scene.camera if scene.camera in cameras else cameras[0]
    return f'Photo "{name}" now belongs to camera "{photo.camera.name}"'


def _unwrap(_scene: bpy.types.Scene, name: str) -> str:
    obj = fix_data.find_object(name)
    unwrap(obj)
    return f'Unwrapped object "{obj.name}" with Smart UV Project'


def _add_world(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    world = bpy.data.worlds.new("World")
    versions.enable_nodes(world)
    background = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    background.inputs["Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    background.inputs["Strength"].default_value = 1.0
    scene.world = world
    return f'Added world "{world.name}": grey light from all around'


def _add_light(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    data = bpy.data.lights.new("Light", "AREA")
    light = bpy.data.objects.new("Light", data)
    scene.collection.objects.link(light)
    low, high = _bounds(scene)
    center, radius = (low + high) / 2, max((high - low).length / 2, 0.01)
    direction = Vector((-0.6, -0.6, 1.0)).normalized()
    rotation = direction.to_track_quat("Z", "Y").to_matrix().to_4x4()
    light.matrix_world = Matrix.Translation(center + direction * 4 * radius) @ rotation
    data.size = radius
    data.energy = 100.0 * radius * radius  # as bright whatever the size of the scene
    return f'Added area light "{light.name}". Move it to where the light came from'


def _object_mode(_scene: bpy.types.Scene, _argument: str) -> str:
    obj = session.enter_object_mode()
    return "Object Mode already" if obj is None else f'Left the mode that object "{obj.name}" was in'


def _use_cycles(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    try:
        scene.render.engine = "CYCLES"
    except TypeError as error:  # not among the engines of this Blender
        raise SceneError("Cycles is switched off. Enable the add-on Cycles Render Engine in the preferences") from error
    return f'Scene "{scene.name}" is rendered by Cycles now'


def _view_transform(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    for name in ("AgX", "Filmic", "Standard"):
        try:
            scene.view_settings.view_transform = name
        except TypeError:  # not in this OpenColorIO configuration
            continue
        return f'The view transform of scene "{scene.name}" is {name} now'
    raise SceneError(f'The OpenColorIO configuration has no usual view transform for scene "{scene.name}". Choose one')


def _view_extras(scene: bpy.types.Scene, _argument: str) -> str:
    _editable(scene)
    scene.view_settings.use_curve_mapping = False
    if hasattr(scene.view_settings, "use_white_balance"):
        scene.view_settings.use_white_balance = False
    return f'Color management of scene "{scene.name}": Curves and White Balance are off'


def _preset(scene: bpy.types.Scene, name: str) -> str:
    _editable(scene)
    if name not in presets.PRESETS:
        raise SceneError(f'There is no preset "{name}"; there are {", ".join(presets.PRESETS)}')
    return presets.apply_preset(scene, name)


def _untick(scene: bpy.types.Scene, name: str) -> str:
    """Take a material or light that is not rendered out of what is asked for."""
    _editable(scene)
    chosen = scene.likeness.targets
    with target_rows.writing():
        for only in ("material", "light"):
            owner = getattr(chosen, only)
            if owner is not None and owner.name_full == name and not chosen.one_by_one:
                setattr(chosen, only, None)
        for row in chosen.rows:
            if name in {owner.name_full for owner in (row.material, row.light) if owner is not None}:
                for kind in target_rows.row_kinds(row):
                    setattr(row, kind, False)
    return f'"{name}" stays as it is'


FIXES = {
    "ADD_CAMERA": Fix("Add Camera", "Add a camera that sees all objects", _add_camera),
    "ASSIGN_CAMERA": Fix("Use Scene Camera", "Let the scene's camera be the one that took the photo", _assign_camera),
    "ADD_WORLD": Fix("Add World", "Give the scene a world of grey light from all around", _add_world),
    "ADD_LIGHT": Fix("Add Light", "Add an area light", _add_light),
    "UNWRAP": Fix("Unwrap", "Make a UV map with Smart UV Project", _unwrap),
    "ADD_MATERIAL": Fix("Add Material", "Give faces without a material a Principled BSDF", fix_material.add_material),
    "PRINCIPLED": Fix(
        "Use Principled", "Let a Principled BSDF take over and keep the base color", fix_material.use_principled
    ),
    "LOCAL_MATERIAL": Fix("Make Local", "Make the material part of this file", fix_material.make_local),
    "LOCAL_LIGHT": Fix("Make Local", "Make the light part of this file", fix_data.make_light_local),
    "LOCAL_WORLD": Fix("Make Local", "Make the world part of this file", fix_data.make_world_local),
    "SINGLE_USER_MATERIAL": Fix(
        "Make Single User", "Give each object a copy of the material", fix_material.make_single_user
    ),
    "SINGLE_USER_MESH": Fix(
        "Make Single User", "Give each object a copy of mesh and material", fix_data.make_single_user
    ),
    "OBJECT_MODE": Fix("Leave Edit Mode", "Go to Object Mode", _object_mode),
    "CYCLES": Fix("Use Cycles", "Render the scene with Cycles", _use_cycles),
    "VIEW_TRANSFORM": Fix("Use AgX", "Choose Blender's usual view transform", _view_transform),
    "VIEW_EXTRAS": Fix("Switch Off", "Switch Curves and White Balance of color management off", _view_extras),
    "PRESET": Fix("Photo to Material", "Choose base color, roughness and normal map", _preset),
    "UNTICK": Fix("Untick", "Leave it as it is", _untick),
}
