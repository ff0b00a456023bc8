# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of ``--fit``: from ``base_color@Gold`` to what exists in the scene and can be fitted."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .errors import SceneError, UsageError
from .result import CAMERA_TARGETS, MATERIAL_TARGETS, TARGETS, Target
from .scene import Mesh, Scene


def parse_target(text: str) -> Target:
    """``KIND`` or ``KIND@DATABLOCK`` as a Target; a name may hold further "@". Raises UsageError."""
    kind, at, datablock = text.partition("@")
    if kind not in TARGETS:
        close = get_close_matches(kind.lower().replace(" ", "_"), TARGETS, 1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(TARGETS)}."
        raise UsageError(f'"{kind}" is nothing that can be fitted; {hint}')
    if at and not datablock:
        raise UsageError(f'"{text}" names no datablock; write {kind}@NAME, or {kind} for all.')
    if at and kind not in (*MATERIAL_TARGETS, *CAMERA_TARGETS, "lights"):
        raise UsageError(f'"{text}": {kind} belongs to the whole scene; leave out "@{datablock}".')
    return Target(kind, datablock if at else None)


def resolve_targets(scene: Scene, targets: Iterable[Target]) -> tuple[list[Target], list[str]]:
    """The targets with "all materials" and "all lights" written out, each once, and warnings about what is left out.

    A material can be fitted where it may be edited and every mesh that shows it has a UV map. What was named and cannot
    be fitted raises SceneError; so does a request of which nothing is left.
    """
    wanted = list(targets)
    if not wanted:
        raise UsageError("Nothing to fit was chosen; say what may change, as --fit base_color lights.")
    obstacles = _material_obstacles(scene)
    lights = {light.data_name for light in scene.lights}
    found: dict[Target, None] = {}
    warnings: dict[str, None] = {}
    for target in wanted:
        if target.kind in MATERIAL_TARGETS and target.datablock is None:
            found.update((Target(target.kind, name), None) for name, why in obstacles.items() if not why)
            warnings.update((why, None) for why in obstacles.values() if why)
        elif target.kind in MATERIAL_TARGETS:
            name = _known("material", target, obstacles)
            if obstacles[name]:
                raise SceneError(obstacles[name])
            found[Target(target.kind, name)] = None
        elif target.kind == "lights" and target.datablock is None:
            if not lights:
                warnings["There is no light to fit; add one, or fit the world."] = None
            found.update((Target("lights", name), None) for name in sorted(lights))
        elif target.kind == "lights":
            objects = {light.name: light.data_name for light in scene.lights}
            name = target.datablock or ""
            found[
                Target("lights", name if name in lights else objects.get(name) or _known("light", target, lights))
            ] = None
        elif target.kind in CAMERA_TARGETS:
            for name in _cameras(scene, target):
                camera = scene.cameras[name]
                obstacle = camera.pose_obstacle if target.kind == "camera" else camera.lens_obstacle
                if obstacle and target.datablock is not None:
                    raise SceneError(obstacle)
                if obstacle:
                    warnings[obstacle] = None
                else:
                    found[Target(target.kind, name)] = None
        else:
            found[target] = None
    if not found:
        raise SceneError(next(iter(warnings), "The scene has no material and no light that could be fitted."))
    return list(found), list(warnings)


def _cameras(scene: Scene, target: Target) -> list[str]:
    """The cameras with photos that a target is about: all, one, or those with a certain lens."""
    taking = list(dict.fromkeys(photo.camera for photo in scene.photos if photo.enabled))
    if target.datablock is None:
        return taking
    name = target.datablock
    sharing = [camera for camera in taking if scene.cameras[camera].data_name == name]
    if name not in taking and sharing and target.kind != "camera":
        return sharing
    if name in scene.cameras and name not in taking:
        raise SceneError(f'"{target}": camera "{name}" has no photo that could tell; add one or leave it out.')
    return [_known("camera", target, taking)]


def _known(what: str, target: Target, names: Iterable[str]) -> str:
    available = list(names)
    if target.datablock in available:
        return target.datablock
    listed = ", ".join(f'"{name}"' for name in available) or "none"
    raise SceneError(f'"{target}": the scene renders no {what} "{target.datablock}". It has: {listed}.')


def _material_obstacles(scene: Scene) -> dict[str, str]:
    """For each material that is seen: why it cannot be fitted, "" where it can."""
    users: dict[str, list[Mesh]] = {}
    for mesh in scene.meshes:
        for name in mesh.material_names:
            users.setdefault(name, []).append(mesh)
    obstacles = {}
    for name, material in scene.materials.items():
        bare = [mesh.name for mesh in users.get(name, []) if mesh.active_uv is None]
        if not material.editable:
            shown = ", ".join(f'"{mesh.name}"' for mesh in users.get(name, [])[:3])
            obstacles[name] = (
                f'Material "{name}" of object {shown} stays as it is: it is missing, linked from a library, or no '
                "Principled BSDF; give the object a local material with one to fit it."
            )
        elif bare:
            obstacles[name] = (
                f'Object "{bare[0]}" has no UV map, so its material "{name}" stays as it is; '
                "unwrap it (Edit Mode, UV > Smart UV Project)."
            )
        else:
            obstacles[name] = ""
    return obstacles
