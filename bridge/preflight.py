# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of a fit, found without evaluating the scene, each finding with the fix for it.

Looking takes milliseconds, but not so few that it could be done at each redraw, and drawing must not write. So the
findings are kept on the window manager and made anew by :func:`update`, which is called where the artist does something
that matters (a tick, a photo, a fix, undo, a loaded file) and by the button Check Again. There is no handler on the
depsgraph: it would run at each stroke and each frame. What changes elsewhere, such as a deleted camera, is seen by
:func:`first_error`, which the Fit button asks: it looks again before it trusts an error of the list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import bpy

from ..engine.result import MATERIAL_TARGETS, Target
from . import target_rows, versions
from .fit_settings import read_targets
from .fixes import FIXES
from .nodes import constant, follow, surface_output
from .notes import label
from .photo_list import absolute_path
from .read_inputs import to_be_baked
from .read_world import understand
from .survey import Survey, lacks_uv, survey
from .write_material import own_principled

Severity = Literal["error", "warning", "info"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
_ENGINE = "Engine"


@dataclass(frozen=True)
class Finding:
    """One thing that is missing, unsupported or worth knowing.

    ``fix`` and ``argument`` are what ``likeness.fix`` takes; ``operator`` names another operator that helps. Both
    may be empty: then the message says what to do.
    """

    severity: Severity
    datablock: str  # label of what it is about: Object "Cube"
    message: str
    fix: str = ""
    argument: str = ""
    operator: str = ""


def find(scene: bpy.types.Scene, engine: str = "") -> list[Finding]:
    """All findings about a scene, the worst first. ``engine`` says why the engine cannot run, "" where it can.

    Changes nothing and evaluates nothing.
    """
    found = survey(scene)
    wanted = read_targets(scene.likeness.targets)
    findings = [
        *_engine(engine),
        *_cameras(scene),
        *_photos(scene),
        *_mode(),
        *_targets(scene, found, wanted),
        *_sharing(found, wanted),
        *_baking(found),
        *_light(scene, found, wanted),
        *_view(scene),
    ]
    return sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.severity])


def update(scene: bpy.types.Scene, engine: str | None = None) -> list[Finding]:
    """Find anew and keep the findings for the sidebar. ``engine`` as in :func:`find`; None: as told the last time."""
    state = _state()
    if state is None:  # without the add-on there is no sidebar
        return []
    if engine is not None:
        state.engine = engine
    findings = find(scene, state.engine)
    store(scene, findings)
    return findings


def store(scene: bpy.types.Scene, findings: list[Finding]) -> None:
    """Keep findings on the window manager, where the sidebar shows them."""
    state = _state()
    if state is None:
        return
    state.scene = scene.name
    state.findings.clear()
    for finding in findings:
        add(finding)
    errors = [finding for finding in findings if finding.severity == "error"]
    state.has_errors = bool(errors)
    state.reason = f"{errors[0].datablock}: {errors[0].message}" if errors else ""


def add(finding: Finding) -> None:
    """Put one more finding below those that are kept."""
    state = _state()
    if state is None:
        return
    item = state.findings.add()
    item.severity, item.datablock, item.message = finding.severity, finding.datablock, finding.message
    item.fix, item.argument, item.operator = finding.fix, finding.argument, finding.operator
    item.button = FIXES[finding.fix].label if finding.fix else ""


def forget() -> None:
    """Drop all findings: another file was loaded."""
    state = _state()
    if state is not None:
        state.findings.clear()
        state.scene, state.has_errors, state.reason = "", False, ""


def first_error(scene: bpy.types.Scene, engine: str) -> str:
    """The first thing that keeps a scene from being fitted as it is now, "" where there is none; ``engine`` as in
    :func:`find`. Writes nothing."""
    errors = (finding for finding in find(scene, engine) if finding.severity == "error")
    return next((f"{finding.datablock}: {finding.message}" for finding in errors), "")


def _state() -> Any:
    return getattr(bpy.context.window_manager, "likeness_preflight", None)


def _engine(why: str) -> Iterator[Finding]:
    if why:
        yield Finding("error", _ENGINE, why, operator="likeness.preferences_open")


def _cameras(scene: bpy.types.Scene) -> Iterator[Finding]:
    if not any(obj.type == "CAMERA" for obj in scene.objects):
        yield Finding("error", label(scene), "has no camera. Add one for each photo", "ADD_CAMERA")


def _photos(scene: bpy.types.Scene) -> Iterator[Finding]:
    stored = scene.likeness.photos
    if not any(photo.enabled for photo in stored):
        why = "No photo is in use. Tick one in the list" if len(stored) else "The list is empty. Add a photo"
        yield Finding("error", "Photos", why, operator="" if len(stored) else "likeness.photo_add")
    has_camera = any(obj.type == "CAMERA" for obj in scene.objects)
    for photo in stored:
        if not photo.enabled:
            continue
        owner = f'Photo "{photo.name}"'
        camera = photo.camera
        if camera is None or not _in_scene(camera, scene):
            why = "has no camera" if camera is None else f'its camera "{camera.name}" is not in this scene'
            yield Finding("error", owner, f"{why}. Choose one", "ASSIGN_CAMERA" if has_camera else "", photo.name)
        elif camera.data.type not in {"PERSP", "ORTHO"}:
            kind = camera.data.type.title()
            yield Finding(
                "error", owner, f'its camera "{camera.name}" is {kind}, which cannot be fitted. Choose another'
            )
        if not photo.path:
            yield Finding("error", owner, "has no file. Choose one")
        for what, path in (("file", photo.path), ("mask", photo.mask_path)):
            if path and not os.path.isfile(absolute_path(path)):
                operator = "likeness.photos_relocate" if _exists("photos_relocate") else ""
                why = f"its {what} {absolute_path(path)} does not exist. Choose it again"
                yield Finding("error", owner, why, operator=operator)


def _in_scene(obj: bpy.types.Object, scene: bpy.types.Scene) -> bool:
    # a linked object may have the name of a local one
    return scene.objects.get(obj.name) == obj or obj in scene.objects.values()


def _exists(operator: str) -> bool:
    return hasattr(bpy.types, f"LIKENESS_OT_{operator}")


def _mode() -> Iterator[Finding]:
    obj = bpy.context.view_layer.objects.active if bpy.context.view_layer is not None else None
    if obj is not None and obj.mode == "EDIT":
        yield Finding(
            "warning",
            label(obj),
            "is in Edit Mode: the result could not be taken back in one step. Leave Edit Mode",
            "OBJECT_MODE",
        )


def _targets(scene: bpy.types.Scene, found: Survey, wanted: list[Target]) -> Iterator[Finding]:
    chosen = scene.likeness.targets
    if not wanted:
        yield Finding("error", "Change", "Nothing is ticked. Tick what may change", "PRESET", "PHOTO_TO_MATERIAL")
        return
    if chosen.one_by_one and not target_rows.up_to_date(scene, found):
        message = "The list is not what the scene renders now. Refresh it"
        yield Finding("warning", "Change", message, operator="likeness.targets_refresh")
    everywhere = {target.kind for target in wanted if target.datablock is None}
    named = {target.datablock for target in wanted if target.kind in MATERIAL_TARGETS and target.datablock is not None}
    all_materials = bool(everywhere & set(MATERIAL_TARGETS))
    usable = bool(everywhere - {*MATERIAL_TARGETS, "lights"})
    hindered: list[Finding] = []
    surfaces = {material.name_full: material for material in found.materials if material is not None}
    for name, material in surfaces.items():
        obstacle = target_rows.material_obstacle(material, found.materials[material])
        is_wanted = all_materials or name in named
        usable |= is_wanted and not obstacle.reason
        if obstacle.reason and (is_wanted or chosen.one_by_one):
            severity: Severity = "error" if name in named else "warning" if all_materials else "info"
            hindered += _material(severity, material, obstacle, found.materials[material])
    for name in sorted(named - set(surfaces)):
        message = "is ticked, but nothing that is rendered shows it. Untick it, or give it to an object"
        yield Finding("error", f'Material "{name}"', message, "UNTICK", name)
    for finding, usable_light in _light_targets(scene, found, wanted):
        usable |= usable_light
        hindered += [finding] if finding is not None else []
    for obj in found.materials.get(None, []):
        if all_materials or chosen.one_by_one:
            message = "has no material on some faces: they are shown in grey and cannot be fitted"
            severity = "warning" if all_materials else "info"
            hindered.append(Finding(severity, label(obj), message, "ADD_MATERIAL", obj.name_full))
    if not found.surfaces:
        yield Finding("error", label(scene), "renders no mesh. Add one, or make it visible in renders")
    elif not usable:
        # what would only be left out is all that there is
        hindered = [replace(finding, severity="error") for finding in hindered]
        if not hindered:
            yield Finding("error", "Change", "Nothing that is ticked can be fitted. Tick something else")
    yield from hindered


def _material(
    severity: Severity, material: bpy.types.Material, obstacle: target_rows.Obstacle, objects: list[bpy.types.Object]
) -> Iterator[Finding]:
    if obstacle.fix != "UNWRAP":
        message = f"{obstacle.reason}: it cannot be fitted"
        yield Finding(severity, label(material), message, obstacle.fix, obstacle.argument)
        return
    for obj in objects:
        if lacks_uv(obj):
            message = f'has no UV map: its material "{material.name_full}" cannot be fitted. Unwrap it'
            yield Finding(severity, label(obj), message, "UNWRAP", obj.name_full)


def _light_targets(
    scene: bpy.types.Scene, found: Survey, wanted: list[Target]
) -> Iterator[tuple[Finding | None, bool]]:
    """Findings about lights that are asked for, each with whether there is something to fit."""
    names = [target.datablock for target in wanted if target.kind == "lights"]
    if names == [None] and not found.lights:
        message = "has no light to fit. Add one, or tick World"
        yield Finding("warning", label(scene), message, "ADD_LIGHT"), False
    lights = {light.name_full: light for light in found.lights}
    for name in sorted(set(filter(None, names)) - set(lights)):
        message = "is ticked, but no rendered object uses it. Untick it"
        yield Finding("error", f'Light "{name}"', message, "UNTICK", name), False
    for name, light in lights.items():
        if None not in names and name not in names:
            continue
        obstacle = target_rows.light_obstacle(light)
        if not obstacle.reason:
            yield None, True
            continue
        if obstacle.fix or name in names:  # a portal among all lights is no harm
            yield Finding("error", label(light), obstacle.reason, obstacle.fix, obstacle.argument), False
    if {"world", "world_strength"} & {target.kind for target in wanted}:
        world = scene.world
        if world is not None and world.library is not None:
            message = "is linked from another file and cannot be fitted"
            yield Finding("error", label(world), message, "LOCAL_WORLD", world.name_full), False


def _sharing(found: Survey, wanted: list[Target]) -> Iterator[Finding]:
    """Whatever gets one texture although it is seen on several objects."""
    names = {target.datablock for target in wanted if target.kind in MATERIAL_TARGETS}
    for material, objects in found.materials.items():
        if material is None or not names & {None, material.name_full} or len(objects) < 2:
            continue
        data = {obj.data for obj in objects}
        shown = target_rows.described(objects)
        if len(data) == 1:
            mesh = objects[0].data
            message = f"is shared by {shown}: they get the same textures. Make them single user if they look different"
            yield Finding("info", label(mesh), message, "SINGLE_USER_MESH", mesh.name_full)
        else:
            message = f"is shared by {shown}: they get one texture. Make it single user if their UV maps overlap"
            yield Finding("info", label(material), message, "SINGLE_USER_MATERIAL", material.name_full)


def _baking(found: Survey) -> Iterator[Finding]:
    """Materials that Cycles turns into textures when the fit starts."""
    for material in found.materials:
        output = surface_output(material.node_tree) if material is not None and versions.uses_nodes(material) else None
        nodes = to_be_baked(follow(output.inputs["Surface"])) if output is not None else []
        if material is not None and output is not None and versions.displacement_method(material) == "BUMP":
            nodes += to_be_baked(follow(output.inputs["Displacement"]))
        if material is not None and nodes:
            more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
            yield Finding("info", label(material), f"{nodes[0].described}{more} will be baked when the fit starts")


def _light(scene: bpy.types.Scene, found: Survey, wanted: list[Target]) -> Iterator[Finding]:
    fitted = {target.kind for target in wanted}
    if fitted & {"world", "emission"} or not found.surfaces:
        return
    if any(light.energy != 0 for light in found.lights) or not world_is_dark(scene.world):
        return
    if not any(material is not None and _emits(material) for material in found.materials):
        yield Finding("error", label(scene), "nothing gives light: the render is black", "ADD_WORLD")


def world_is_dark(world: bpy.types.World | None) -> bool:
    """Whether a world surely sends no light."""
    if world is None:
        return True
    if not versions.uses_nodes(world):
        return not any(world.color)
    known = understand(world)
    if known.bake or known.texture is not None:
        return False
    if known.background is None:
        return True
    color, strength = constant(known.background.input("Color")), constant(known.background.input("Strength"))
    return (color is not None and not any(color)) or (strength is not None and not any(strength))


def _emits(material: bpy.types.Material) -> bool:
    if not versions.uses_nodes(material):
        return False
    if any(node.bl_idname == "ShaderNodeEmission" for node in material.node_tree.nodes):
        return True
    principled = own_principled(material)
    if principled is None:
        return False
    values = (constant(follow(principled.inputs[name])) for name in ("Emission Color", "Emission Strength"))
    return all(value is None or any(value) for value in values)


def _view(scene: bpy.types.Scene) -> Iterator[Finding]:
    view, owner = scene.view_settings, label(scene)
    if scene.render.engine != "CYCLES":
        message = "is rendered by another engine than Cycles; Likeness fits what Cycles shows"
        yield Finding("info", owner, message, "CYCLES")
    if versions.working_space() != "Linear Rec.709":
        message = f'working space "{versions.working_space()}" is not supported. Set it to Linear Rec.709'
        yield Finding("error", owner, f"color management: {message}")
    if not view.view_transform or view.view_transform == "False Color":
        name = view.view_transform or "of this file"
        message = f'color management: view transform "{name}" is no picture that a photo could look like'
        yield Finding("error", owner, message, "VIEW_TRANSFORM")
    if view.use_curve_mapping or getattr(view, "use_white_balance", False):
        message = "color management: Curves and White Balance are left out of the fit; switch them off"
        yield Finding("warning", owner, message, "VIEW_EXTRAS")
