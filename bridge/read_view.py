# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour management and film of a scene -> :class:`engine.scene.ViewSettings`, :class:`engine.scene.Film`."""

from __future__ import annotations

import bpy

from ..engine.scene import Film, ViewSettings
from . import versions
from .notes import Notes, label


def read_view(scene: bpy.types.Scene, notes: Notes) -> ViewSettings:
    """The scene's view transform and where Blender's OpenColorIO configuration lies."""
    view = scene.view_settings
    owner = label(scene)
    if view.use_curve_mapping:
        notes.ignored(owner, "colour management: Use Curves is left out")
    if getattr(view, "use_white_balance", False):
        notes.ignored(owner, "colour management: White Balance is left out")
    space = versions.working_space()
    if space != "Linear Rec.709":
        notes.error(
            owner,
            f'colour management: working space "{space}" is not supported and colours will be wrong. '
            "Set it to Linear Rec.709",
        )
    return ViewSettings(
        view_transform=view.view_transform,
        look=view.look or "None",
        exposure=float(view.exposure),
        gamma=float(view.gamma),
        display=scene.display_settings.display_device,
        config_path=versions.ocio_config(),
        scene_linear=space,
    )


def read_film(scene: bpy.types.Scene, notes: Notes) -> Film:
    """Image size, pixel filter and film exposure; Cycles' settings whatever engine is chosen."""
    render = scene.render
    owner = label(scene)
    film = Film(
        # a percentage is rounded down, e.g. 97 x 63 at 51 % is 49 x 32
        width=max(int(render.resolution_x * render.resolution_percentage / 100), 1),
        height=max(int(render.resolution_y * render.resolution_percentage / 100), 1),
        pixel_aspect=(float(render.pixel_aspect_x), float(render.pixel_aspect_y)),
        transparent=bool(render.film_transparent),
    )
    if render.engine != "CYCLES":
        name = render.engine.replace("BLENDER_", "").replace("_", " ").title()
        notes.approximated(owner, f"the render engine is {name}; Likeness renders as Cycles does")
    if render.use_border:
        notes.ignored(owner, "the render region is left out; whole images are rendered")
    if render.use_motion_blur:
        rolling = getattr(getattr(scene, "cycles", None), "rolling_shutter_type", "NONE") != "NONE"
        notes.ignored(owner, "motion blur is left out" + (", and the rolling shutter with it" if rolling else ""))
    if render.use_multiview:
        notes.ignored(owner, "stereoscopy is left out: each camera is one eye")
    if versions.has_compositor(scene) and render.use_compositing:
        notes.ignored(owner, "the compositor is left out")
    cycles = getattr(scene, "cycles", None)
    if cycles is not None:
        film.filter = cycles.pixel_filter_type
        film.filter_width = float(cycles.filter_width)
        film.exposure = float(cycles.film_exposure)
        film.bounces = min(int(cycles.max_bounces), int(cycles.diffuse_bounces))
        film.transparent_bounces = int(cycles.transparent_max_bounces)
        film.caustics = bool(cycles.caustics_refractive)
    return film
