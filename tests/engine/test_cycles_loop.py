# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits that Cycles looks at, with the real Cycles in its own process."""

from __future__ import annotations

import copy
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.cycles_copy import save_copy
from likeness.engine.color.srgb import srgb_decode
from likeness.engine.cycles_loop import CyclesLoop
from likeness.engine.cycles_service import FOLDER, CyclesService, CyclesView
from likeness.engine.errors import CancelledError, LikenessError
from likeness.engine.fit import fit
from likeness.engine.result import FitResult, FittedImage
from likeness.engine.scene import Scene
from tests.scenes.cycles import load_pixels, reference_settings, render_cycles, render_photo
from tests.scenes.make_references import psnr

from .test_fit import SAMPLES, SIDE, Stage, grey_cloth, image_of, pattern, run, seen, settings

LOOKS = "Cycles looks at it"
WANTED = settings("base_color@Cloth", iterations=80, cycles=True)


@dataclass
class Job:
    """A job folder with a copy of the stage, and the stage with its photos."""

    folder: Path
    photographed: Scene

    def dim(self) -> Scene:
        """The stage with grey cloth, as a renderer that loses most of the world's light would know it."""
        scene = grey_cloth(copy.deepcopy(self.photographed))
        scene.world.strength *= 0.25
        return scene


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    stage = Stage(folder)
    photographed = stage.photograph()
    bpy.context.view_layer.objects.active = bpy.data.objects["Ball"]
    bpy.ops.object.mode_set(mode="EDIT")  # the artist goes on working
    save_copy(stage.bpy_scene, folder)
    bpy.ops.object.mode_set(mode="OBJECT")
    return Job(folder, photographed)


def answered(steps: Generator[None, None, list[np.ndarray]]) -> list[np.ndarray]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_cycles_renders_the_file_with_a_result_in_it(job: Job, tmp_path: Path) -> None:
    pixels = np.full((8, 8, 3), 0.25, np.float32)
    pixels[:, 4:] = 0.75
    result = FitResult(images=[FittedImage("Cloth", "base_color", pixels, "sRGB", 8)])
    service = CyclesService(job.folder)
    try:
        asked = [CyclesView("Left", SIDE, SIDE, (1.0, 1.0)), CyclesView("Right", 48, 32, (1.0, 1.0))]
        found = answered(service.render(result, asked, samples=64, seed=0))
    finally:
        service.close()
    bpy.ops.wm.open_mainfile(filepath=str(job.folder / "cycles.blend"))
    image = next(node for node in bpy.data.materials["Cloth"].node_tree.nodes if node.type == "TEX_IMAGE").image
    image.scale(8, 8)
    image.pixels.foreach_set(np.concatenate([pixels, np.ones((8, 8, 1))], axis=-1).astype(np.float32).ravel())
    for view, picture in zip(asked, found, strict=True):
        size = {"width": view.width, "height": view.height}
        camera = bpy.data.objects[view.camera]
        path = tmp_path / "truth.exr"
        truth = render_cycles(bpy.context.scene, camera, path, **size, samples=256, direct_only=False)[..., :3]
        assert picture.shape == truth.shape
        assert psnr(picture, truth) > 32  # what 64 samples are good for, denoised


@pytest.fixture(scope="module")
def looked_at(job: Job) -> FitResult:
    return run(job.dim(), WANTED, run_dir=job.folder)


def test_what_our_renderer_does_not_know_is_not_painted_into_textures(job: Job, looked_at: FitResult) -> None:
    alone = run(job.dim(), settings("base_color@Cloth", iterations=80))
    errors = []
    for result in (looked_at, alone):
        known = seen(result, "Cloth", 16)
        found = srgb_decode(image_of(result, "Cloth", "base_color").pixels)
        errors.append(np.sqrt(np.square(found[known] - pattern()[known]).mean()))
    assert errors[1] > 0.1  # the missing light is made up for by brighter cloth
    assert errors[0] < 0.05
    assert "Cycles' own renders" in looked_at.cycles
    assert looked_at.warnings == []


def test_pictures_before_and_after_are_as_cycles_renders_them(job: Job, looked_at: FitResult, tmp_path: Path) -> None:
    """Else a fit that got the materials right would be said to look less like the photos than before."""
    bpy.ops.wm.open_mainfile(filepath=str(job.folder / "cycles.blend"))
    tree = bpy.data.materials["Cloth"].node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.remove(shader.inputs["Base Color"].links[0])
    shader.inputs["Base Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    for photo in looked_at.photos:
        path = tmp_path / "before.png"
        reference_settings(bpy.context.scene, SIDE, SIDE, SAMPLES, False)
        render_photo(bpy.context.scene, bpy.data.objects[photo.camera], path)
        assert psnr(photo.before, load_pixels(path)[..., :3]) > 30
        assert photo.psnr_after > 30


def test_a_resumed_fit_ends_to_the_last_bit_as_an_uninterrupted_one(job: Job, looked_at: FitResult) -> None:
    steps = fit(job.dim(), WANTED, run_dir=job.folder)
    for progress in steps:
        if progress.stage == "details":
            break
    with pytest.raises(StopIteration):
        steps.throw(CancelledError("stop"))
    again = run(job.dim(), WANTED, run_dir=job.folder, resume=True)
    assert np.array_equal(
        image_of(again, "Cloth", "base_color").pixels, image_of(looked_at, "Cloth", "base_color").pixels
    )
    assert again.cycles == looked_at.cycles


def test_a_fit_stops_at_once_while_cycles_renders(job: Job) -> None:
    steps = fit(job.dim(), WANTED, run_dir=job.folder)
    assert next(steps).stage == LOOKS
    began = time.monotonic()
    with pytest.raises(StopIteration) as end:
        steps.throw(CancelledError("stop"))
    assert end.value.value.cancelled
    # the result itself needs a moment for its pictures
    assert time.monotonic() - began < 3.0


def test_a_fit_without_a_copy_of_the_file_goes_on_alone(job: Job, tmp_path: Path) -> None:
    result = run(job.dim(), settings("base_color@Cloth", iterations=8, cycles=True), run_dir=tmp_path)
    assert any("Cycles cannot check the fit" in message for message in result.warnings)
    assert result.images


def test_a_blender_that_dies_is_named_and_the_fit_goes_on(job: Job, tmp_path: Path) -> None:
    (tmp_path / "cycles.json").write_text('["/bin/false"]')
    result = run(job.dim(), settings("base_color@Cloth", iterations=8, cycles=True), run_dir=tmp_path)
    assert any("could not check the fit" in message and "stopped with code 1" in message for message in result.warnings)
    assert result.images


class Scripted(CyclesService):
    """A Cycles that shows the photos ever darker."""

    def __init__(self) -> None:
        self.factor = 1.0
        self.closed = False

    def render(self, result, views, samples, seed):  # type: ignore[no-untyped-def]
        self.factor *= 0.6
        yield
        return [np.full((view.height, view.width, 3), 0.3 * self.factor, np.float32) for view in views]

    def close(self) -> None:
        self.closed = True


def test_corrections_that_lead_away_are_halved_and_dropped(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    from likeness.engine.fit import FitRun

    script = Scripted()
    monkeypatch.setattr(FitRun, "ask_cycles", lambda self: setattr(self, "cycles", CyclesLoop(self, script)))
    result = run(job.dim(), WANTED, run_dir=job.folder)
    assert script.closed
    assert sum("moved away from the photos" in message for message in result.warnings) == 1
    # as good as any fit without it: the dropped correction is gone
    assert all(photo.psnr_after > photo.psnr_before for photo in result.photos)


def test_no_answer_from_a_folder_that_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(LikenessError, match="no copy of the scene"):
        CyclesService(tmp_path)
    assert not (tmp_path / FOLDER).exists()
