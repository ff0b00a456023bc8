# SPDX-License-Identifier: GPL-3.0-or-later
"""Lights of every kind and light that is reflected often, against stored pictures by Cycles (see test_forward.py)."""

from __future__ import annotations

import bpy
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from tests.scenes.catalogue_light import INTERREFLECTION, LIGHTS
from tests.scenes.make_references import SMALL, load_reference, psnr

# the others are measured by a benchmark
QUICK = [
    "ellipse_spread",
    "sun_half_sky",
    "negative_light",
    "seen_lights",
    "not_glossy",
    "not_diffuse",
    "mesh_panel",
    "mesh_bulbs",
    "mesh_screen",
    "sky_multiple",
]


@pytest.mark.parametrize("name", QUICK)
def test_lights_are_those_of_cycles(name: str) -> None:
    case = LIGHTS[name]
    camera = case.build()
    found = render(read_scene(bpy.context.scene), camera.name, SMALL, SMALL, samples=256, direct_only=True)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor


@pytest.mark.parametrize("name", INTERREFLECTION)
def test_surfaces_light_each_other_as_in_cycles(name: str) -> None:
    case = INTERREFLECTION[name]
    camera = case.build()
    found = render(read_scene(bpy.context.scene), camera.name, SMALL, SMALL, samples=128)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor
