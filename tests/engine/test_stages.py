# SPDX-License-Identifier: GPL-3.0-or-later
"""What every plan of a fit must hold to, whatever its weights are."""

from __future__ import annotations

import pytest

from likeness.engine.result import FitSettings, Target
from likeness.engine.stages import Stage, plan_stages

TARGETS = {
    "materials": ("base_color@A", "roughness@A", "metallic@A"),
    "colour": ("base_color@A",),
    "light": ("lights@L", "exposure"),
    "all": ("base_color@A", "metallic@A", "lights@L", "world"),
}


def plan(name: str, iterations: int, photos: int, size: int = 512) -> list[Stage]:
    targets = [Target(*text.split("@")) for text in TARGETS[name]]
    return plan_stages(FitSettings(targets, iterations, 512, size), photos, name in ("light", "all"))


def visits(stage: Stage) -> int:
    """How often a stage visits every photo."""
    return stage.blocks * stage.visits


@pytest.mark.parametrize("photos", [1, 6, 24])
@pytest.mark.parametrize("iterations", [0, 600, 2000])
@pytest.mark.parametrize("name", TARGETS)
def test_coarse_before_fine(name: str, iterations: int, photos: int) -> None:
    stages = plan(name, iterations, photos)
    assert len({stage.name for stage in stages}) == len(stages)
    assert all(visits(stage) >= 1 for stage in stages)
    levels, sizes = [s.level for s in stages], [s.texture_size for s in stages]
    assert levels == sorted(levels, reverse=True)
    assert sizes == sorted(sizes)
    assert (levels[-1], sizes[-1]) == (0, 512)  # the end has the photos' and the textures' full size
    assert all(0 < stage.last_step <= stage.step for stage in stages)
    assert stages[-1].metallic is None


@pytest.mark.parametrize("photos", [1, 6])
@pytest.mark.parametrize("iterations", [600, 2000])
@pytest.mark.parametrize("name", TARGETS)
def test_about_as_many_iterations_as_asked_for(name: str, iterations: int, photos: int) -> None:
    stages = plan(name, iterations, photos)
    total = sum(visits(stage) for stage in stages) * photos
    # each stage is rounded to whole blocks of so many visits of every photo
    assert abs(total - iterations) <= sum(stage.visits for stage in stages) * photos


@pytest.mark.parametrize("size", [1, 8, 100, 4096])
def test_textures_are_never_larger_than_asked_for(size: int) -> None:
    assert all(1 <= stage.texture_size <= size for stage in plan("all", 600, 3, size))


def test_metal_and_paint_are_tried_only_where_both_are_free() -> None:
    assert {s.metallic for s in plan("materials", 0, 3)} == {None, 0.0, 1.0}
    assert {s.metallic for s in plan("colour", 0, 3)} == {None}
    assert {s.metallic for s in plan("light", 0, 3)} == {None}


def test_more_photos_mean_more_iterations() -> None:
    totals = [sum(visits(s) for s in plan("colour", 0, n)) * n for n in (1, 6, 12)]
    assert totals == sorted(totals)


def test_normal_maps_wait_for_light_and_colours() -> None:
    """Early on they would take on whatever is not explained yet; alone there is nothing to wait for."""
    every = [Target("base_color", "A"), Target("normal", "A"), Target("world")]
    stages = plan_stages(FitSettings(every, 600, 512, 512), 3, scene_free=True)
    assert [stage.form for stage in stages] == sorted(stage.form for stage in stages)
    assert not stages[0].form
    assert stages[-1].form
    alone = plan_stages(FitSettings([Target("normal", "A")], 600, 512, 512), 3, scene_free=False)
    assert all(stage.form for stage in alone)
