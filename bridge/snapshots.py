# SPDX-License-Identifier: GPL-3.0-or-later
"""Before/After: the scene as it was before the last apply, and swapping it with what is shown.

Materials and the world are kept as copies of their datablocks (node trees are small; images are shared), lights,
exposure and photos as values. Showing the other side swaps: all users go from the one material to the other, values
change places. So whatever the artist changes meanwhile stays on the side where it was changed. **The side that is
shown always has the plain name** ("Gold"), the other one is called "Gold before fit" or "Gold after fit": fits and
results, which know materials by name, always mean what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
from mathutils import Matrix

from ..engine.errors import SceneError
from .notes import label
from .photo_list import settings
from .read_camera import DISTORTION
from .write_image import cut_name, made_by_likeness

_SIDES = {"AFTER": "after fit", "BEFORE": "before fit"}


def is_kept(scene: bpy.types.Scene) -> bool:
    """Whether there is a state before the last apply to show."""
    return settings(scene).snapshot.showing != "NONE"


def keep(
    scene: bpy.types.Scene,
    materials: Iterable[bpy.types.Material],
    lights: Iterable[bpy.types.Light],
    photos: Iterable[str],
    world: bool,
    exposure: bool,
) -> None:
    """Keep the named things as they are now; what is written afterwards is the other side. Nothing may be kept yet.

    After the world has been written, :func:`note_world` has to be called.
    """
    kept = settings(scene).snapshot
    for material in materials:
        pair = kept.materials.add()
        pair.shown, pair.hidden = material, _copy(material)
    for light in lights:
        entry = kept.lights.add()
        entry.light, entry.energy, entry.color = light, light.energy, light.color
    wanted = set(photos)
    for item in settings(scene).photos:
        if item.name in wanted:
            entry = kept.photos.add()
            entry.name, entry.exposure, entry.white_balance = item.name, item.exposure, item.white_balance
    kept.has_world, kept.has_exposure = world, exposure
    kept.exposure = scene.view_settings.exposure
    kept.world_is_new = scene.world is None
    if world and scene.world is not None:
        kept.world_hidden = _copy(scene.world)
    kept.showing = "AFTER"


def keep_cameras(scene: bpy.types.Scene, cameras: Iterable[bpy.types.Object]) -> None:
    """Keep places and lenses of camera objects as they are now."""
    kept = settings(scene).snapshot
    wanted = list(cameras)
    for camera in wanted:
        entry = kept.cameras.add()
        entry.camera, entry.matrix = camera, _flat(camera.matrix_basis)
    for data in dict.fromkeys(camera.data for camera in wanted):
        entry = kept.lenses.add()
        entry.data = data
        _set_lens(entry, _lens(data))


def note_world(scene: bpy.types.Scene) -> None:
    """Tell the kept state which world was written; the scene may have had none before."""
    kept = settings(scene).snapshot
    if kept.has_world:
        kept.world_shown = scene.world


def toggle(scene: bpy.types.Scene) -> str:
    """Show the other side; returns which it is, "BEFORE" or "AFTER".

    Raises :class:`SceneError`, with nothing changed, where nothing is kept or where a hidden material or world has been
    given to something: its users could not be told from the others' afterwards.
    """
    kept = settings(scene).snapshot
    if kept.showing == "NONE":
        raise SceneError(f'Scene "{scene.name}" has no state before an apply. Apply a result first')
    world = (kept.world_shown, kept.world_hidden)
    swaps_world = kept.has_world and scene.world == world[0] != world[1] and (kept.world_is_new or None not in world)
    # a deleted side is None; where another scene, copied with what it keeps, has swapped them, both are the same
    pairs = [pair for pair in kept.materials if pair.shown and pair.hidden and pair.shown != pair.hidden]
    for hidden in (*(pair.hidden for pair in pairs), *([world[1]] if swaps_world and world[1] else [])):
        _refuse_used(hidden)
    suffix = _SIDES[kept.showing]
    for pair in pairs:
        shown, hidden = pair.shown, pair.hidden
        _swap(shown, hidden, suffix)
        # the swap has moved these pointers, too
        pair.shown, pair.hidden = hidden, shown
    if swaps_world:
        if None in world:
            scene.world = world[1]
        else:
            _swap(*world, suffix)
        kept.world_shown, kept.world_hidden = world[1], world[0]
    _swap_values(scene, kept)
    kept.showing = "BEFORE" if kept.showing == "AFTER" else "AFTER"
    return kept.showing


def clear(scene: bpy.types.Scene) -> list[str]:
    """Keep what is shown and remove the other side; returns the names of datablocks that were removed.

    Images made by Likeness that nothing else uses go with it.
    """
    kept = settings(scene).snapshot
    hidden: list[Any] = [pair.hidden for pair in kept.materials if pair.hidden and pair.hidden != pair.shown]
    if kept.world_hidden and kept.world_hidden != kept.world_shown:
        hidden.append(kept.world_hidden)
    for collection in (kept.materials, kept.lights, kept.photos, kept.cameras, kept.lenses):
        collection.clear()
    kept.world_shown = kept.world_hidden = None
    kept.has_world = kept.world_is_new = kept.has_exposure = False
    kept.showing = "NONE"
    removed = []
    users = bpy.data.user_map(subset=hidden)
    for datablock in hidden:
        if users[datablock] or datablock.use_fake_user:  # given to something meanwhile, or kept by a copied scene
            continue
        removed.append(datablock.name_full)
        images = images_of(datablock)
        owner: Any = bpy.data.worlds if isinstance(datablock, bpy.types.World) else bpy.data.materials
        owner.remove(datablock)
        removed += remove_unused(images)
    return removed


def refuse_hidden(scene: bpy.types.Scene, materials: Iterable[bpy.types.Material]) -> None:
    """Raise :class:`SceneError` where a result is meant for a material that the scene does not show."""
    hidden = [pair.hidden for pair in settings(scene).snapshot.materials if pair.hidden != pair.shown]
    for material in materials:
        if material in hidden:
            raise SceneError(f"{label(material)} is only kept for Before/After. Fit again to what the scene shows")


def images_of(datablock: bpy.types.Material | bpy.types.World) -> list[bpy.types.Image]:
    """The images made by Likeness in the nodes of a material or world."""
    nodes = datablock.node_tree.nodes if datablock.node_tree is not None else ()
    images = dict.fromkeys(node.image for node in nodes if getattr(node, "image", None) is not None)
    return [image for image in images if made_by_likeness(image)]


def remove_unused(images: Iterable[bpy.types.Image]) -> list[str]:
    """Remove those of ``images`` that nothing uses any more; returns their names.

    Blender 4.2 counts users of an image wrongly once a node tree was copied, so they are looked up.
    """
    users = bpy.data.user_map(subset=list(images))
    unused = [image for image, used_by in users.items() if not used_by and not image.use_fake_user]
    names = [image.name_full for image in unused]
    for image in unused:
        bpy.data.images.remove(image)
    return names


def _copy(datablock: Any) -> Any:
    copy = datablock.copy()
    if copy.asset_data is not None:
        copy.asset_clear()
    copy.use_fake_user = False
    copy.name = cut_name(datablock.name, _SIDES["BEFORE"])
    return copy


def _refuse_used(hidden: Any) -> None:
    # scenes keep the hidden side, and may have it chosen as the only material to fit
    others = [user for user in bpy.data.user_map(subset=[hidden])[hidden] if not isinstance(user, bpy.types.Scene)]
    if others or any(scene.world == hidden for scene in bpy.data.scenes):
        raise SceneError(
            f"{label(hidden)} is only kept for Before/After, but something in the file uses it. "
            "Give that a copy of it, then try again"
        )


def _swap(shown: Any, hidden: Any, suffix: str) -> None:
    """All users and the name of ``shown`` go to ``hidden``."""
    name, fake, hidden_fake = shown.name, shown.use_fake_user, hidden.use_fake_user
    shown.user_remap(hidden)
    # the remap takes the fake user along; it belongs to what has the name
    shown.use_fake_user, hidden.use_fake_user = hidden_fake, fake
    shown.name = cut_name(name, suffix)
    hidden.name = name


def _swap_values(scene: bpy.types.Scene, kept: Any) -> None:
    for entry in kept.lights:
        light = entry.light
        if light is not None:
            energy, color = light.energy, tuple(light.color)
            light.energy, light.color = entry.energy, entry.color
            entry.energy, entry.color = energy, color
    for entry in kept.cameras:
        if entry.camera is not None:
            there = _flat(entry.camera.matrix_basis)
            entry.camera.matrix_basis = Matrix([entry.matrix[4 * row : 4 * row + 4] for row in range(4)])
            entry.matrix = there
    for entry in kept.lenses:
        if entry.data is not None:
            lens = _lens(entry.data)
            _apply_lens(entry.data, entry)
            _set_lens(entry, lens)
    listed = {item.name: item for item in settings(scene).photos}
    for entry in kept.photos:
        item = listed.get(entry.name)
        if item is not None:
            exposure, balance = item.exposure, tuple(item.white_balance)
            item.exposure, item.white_balance = entry.exposure, entry.white_balance
            entry.exposure, entry.white_balance = exposure, balance
    if kept.has_exposure:
        view = scene.view_settings
        view.exposure, kept.exposure = kept.exposure, view.exposure


_LENS = ("lens", "ortho_scale", "shift_x", "shift_y")


def _flat(matrix: Matrix) -> list[float]:
    return [value for row in matrix for value in row]


def _lens(data: bpy.types.Camera) -> dict[str, Any]:
    """What a fit may change of a camera datablock."""
    distortion = data.get(DISTORTION)
    values = {name: getattr(data, name) for name in _LENS}
    return {**values, "distorts": distortion is not None, "distortion": list(distortion or (0.0,) * 5)}


def _set_lens(entry: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(entry, name, value)


def _apply_lens(data: bpy.types.Camera, entry: Any) -> None:
    for name in _LENS:
        setattr(data, name, getattr(entry, name))
    if entry.distorts:
        data[DISTORTION] = list(entry.distortion)
    elif DISTORTION in data:
        del data[DISTORTION]
