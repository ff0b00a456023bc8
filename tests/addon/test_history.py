# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of runs: recorded with settings and score, applied again, restored, removed."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

import bpy
import pytest

from likeness.bridge import history
from likeness.bridge.fit_settings import read_fit_settings
from likeness.bridge.open_save import open_blend, save_blend
from likeness.engine.job import load_job, load_result
from likeness.engine.result import FitSettings, Target
from tests.addon.apply_scene import (
    everything,
    finished_fit,
    full_result,
    in_window,
)
from tests.addon.drawing import words

pytestmark = pytest.mark.usefixtures("addon_with_photo")


def _record(folder: Path, seed: int = 1, settings: FitSettings | None = None) -> None:
    result = finished_fit(folder, full_result(seed))
    history.record_run(bpy.context.scene, folder, settings or load_job(folder)[1], result)


def _runs() -> list[bpy.types.PropertyGroup]:
    return bpy.context.scene.likeness.runs


def test_a_run_is_recorded_with_settings_and_score(tmp_path: Path) -> None:
    settings = FitSettings([Target("base_color", "Gold, @ matt"), Target("world")], 40, 96, 32, "cpu", 7, cycles=True)
    _record(tmp_path / "a", 1, settings)
    (run,) = _runs()
    assert (run.name, run.targets.splitlines()) == ("Run 1", ["base_color@Gold, @ matt", "world"])
    assert (run.steps, run.iterations, run.resolution, run.texture_size) == (40, 40, 96, 32)
    assert (run.device, run.seed, run.seconds, run.photos) == ("cpu", 7, 12.5, 1)
    assert run.use_cycles
    assert (run.psnr_before, run.psnr_after) == (20.0, 31.0)
    assert Path(run.folder) == tmp_path / "a"
    assert run.available
    assert not run.is_worse
    assert not run.stopped
    assert run.date.startswith("20")


def test_scores_of_several_photos_are_a_mean_of_those_that_have_one(tmp_path: Path) -> None:
    result = full_result()
    first = result.photos[0]
    for before, after in ((math.nan, math.nan), (40.0, math.inf), (30.0, 20.0)):
        photo = type(first)(**{**vars(first), "psnr_before": before, "psnr_after": after})
        result.photos.append(photo)
    run = history.add_run(bpy.context.scene, tmp_path, FitSettings(), result)
    assert run.photos == 3
    assert run.psnr_before == pytest.approx((20 + 40 + 30) / 3)
    assert run.psnr_after == pytest.approx((31 + 99 + 20) / 3)
    result.photos[0].psnr_after = -100.0
    assert history.add_run(bpy.context.scene, tmp_path, FitSettings(), result).is_worse
    assert len(_runs()) == 1, "the same folder is the same run"
    result.photos.clear()
    assert not history.add_run(bpy.context.scene, tmp_path, FitSettings(), result).is_worse


def test_every_run_can_be_applied_again(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        _record(tmp_path / str(seed), seed)
    assert [run.name for run in _runs()] == ["Run 1", "Run 2", "Run 3"]
    assert bpy.context.scene.likeness.active_run == 2
    for index, energy in ((-1, 103.0), (0, 101.0), (1, 102.0)):
        assert bpy.ops.likeness.history_apply(index=index) == {"FINISHED"}
        assert bpy.data.lights["Light"].energy == energy
    bpy.ops.likeness.before_after()
    assert bpy.data.lights["Light"].energy == 101.0


def test_undoing_the_apply_leaves_the_run_in_the_list(tmp_path: Path) -> None:
    with in_window():
        bpy.ops.ed.undo_push(message="before")
        before = everything()
        _record(tmp_path / "job")
        bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        after = everything()
        bpy.ops.ed.undo()
        assert everything() == before
        assert [run.name for run in _runs()] == ["Run 1"]
        bpy.ops.likeness.history_apply("EXEC_DEFAULT", True)
        assert everything() == after
        bpy.ops.ed.undo()
        assert everything() == before
        assert [run.name for run in _runs()] == ["Run 1"]


def test_the_history_is_saved_with_the_scene(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    _runs()[0].name, _runs()[0].note = "Evening", "too red"
    save_blend(tmp_path / "a.blend")
    open_blend(tmp_path / "a.blend")
    (run,) = _runs()
    assert (run.name, run.note, run.psnr_after) == ("Evening", "too red", 31.0)
    assert bpy.ops.likeness.history_apply() == {"FINISHED"}


def test_a_run_whose_folder_is_gone_is_an_error_and_keeps_its_settings(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    assert not _runs()[0].available
    before = everything()
    with pytest.raises(RuntimeError, match=r"Run 1: its job folder .* is gone") as caught:
        bpy.ops.likeness.history_apply()
    assert "Traceback" not in str(caught.value)
    assert everything() == before
    assert bpy.ops.likeness.history_settings() == {"FINISHED"}


def test_a_damaged_result_is_an_error_that_changes_nothing(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    (tmp_path / "a" / "result.npz").write_bytes(b"broken")
    before = everything()
    with pytest.raises(RuntimeError, match="damaged"):
        bpy.ops.likeness.history_apply(index=0)
    with pytest.raises(RuntimeError, match="no run 4"):
        bpy.ops.likeness.history_apply(index=4)
    assert everything() == before


def test_removing_a_run_deletes_the_files_of_likeness_alone(tmp_path: Path) -> None:
    for name in "abc":
        _record(tmp_path / name)
    mine = tmp_path / "mine"
    history.add_run(bpy.context.scene, mine, FitSettings(), finished_fit(mine))
    not_a_job = tmp_path / "holiday"
    not_a_job.mkdir()
    (not_a_job / "picture.jpg").write_bytes(b"")
    _runs()[2].folder = str(not_a_job)

    bpy.ops.likeness.history_remove(index=0)
    assert not (tmp_path / "a").exists()
    bpy.ops.likeness.history_remove(index=0, delete_files=False)
    assert (tmp_path / "b" / "result.json").is_file()
    bpy.ops.likeness.history_remove(index=1)
    assert (mine / "result.json").is_file()
    assert bpy.context.scene.likeness.active_run == 0
    bpy.ops.likeness.history_remove()
    assert (not_a_job / "picture.jpg").is_file()
    assert len(_runs()) == 0
    assert not bpy.ops.likeness.history_remove.poll()
    assert not bpy.ops.likeness.history_apply.poll()


def test_a_folder_that_two_scenes_know_stays(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    bpy.context.scene.copy()
    bpy.ops.likeness.history_remove()
    assert (tmp_path / "a" / "result.json").is_file()
    assert history.is_recorded(str(tmp_path / "a"))


def _second_material_and_light() -> None:
    data = bpy.data
    square = data.objects.new("Square", data.objects["Cube"].data.copy())
    square.data.materials[0] = data.materials["Material"].copy()
    square.data.materials[0].name = "Other"
    for obj in (square, data.objects.new("Lamp", data.lights.new("Lamp", "POINT"))):
        bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.update()


@pytest.mark.parametrize(
    ("targets", "one_by_one"),
    [
        ([Target("base_color", "Other"), Target("roughness", "Other"), Target("lights", "Lamp")], False),
        ([Target("base_color"), Target("lights")], False),
        ([Target("world_strength"), Target("exposure"), Target("white_balance")], False),
        ([Target("base_color", "Other"), Target("base_color", "Material"), Target("roughness", "Other")], True),
    ],
    ids=["one of each", "all", "scene", "mixed"],
)
def test_settings_come_back_into_the_panels(tmp_path: Path, targets: list[Target], one_by_one: bool) -> None:
    _second_material_and_light()
    wanted = FitSettings(targets, 123, 77, 256, "cpu", 5, cycles=True)
    _record(tmp_path / "a", 1, wanted)
    assert bpy.ops.likeness.history_settings() == {"FINISHED"}
    read = read_fit_settings(bpy.context.scene)
    assert set(read.targets) == set(targets)
    assert dataclasses.replace(read, targets=[]) == dataclasses.replace(wanted, targets=[])
    assert bpy.context.scene.likeness.targets.one_by_one == one_by_one


def test_all_by_name_comes_back_as_all(tmp_path: Path) -> None:
    """A plan names every material; the panel said "all"."""
    _second_material_and_light()
    targets = [Target("base_color", name) for name in ("Other", "Material")]
    _record(tmp_path / "a", 1, FitSettings(targets))
    bpy.ops.likeness.history_settings()
    assert read_fit_settings(bpy.context.scene).targets == [Target("base_color")]


def test_a_material_that_is_gone_is_named_when_settings_come_back(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    bpy.data.materials["Material"].name = "Gold"
    (message,) = history.restore_settings(bpy.context.scene)
    assert 'no material "Material"' in message


def test_a_job_goes_out_as_a_folder_and_comes_back(tmp_path: Path, photo_of_start_up_scene: Path) -> None:
    """Photos are in the folder, so that it can travel; what comes back is applied and recorded in one undo step."""
    bpy.context.scene.likeness.photos.clear()
    bpy.ops.likeness.photo_add(filepath=str(photo_of_start_up_scene), camera="Camera")
    assert bpy.ops.likeness.job_save(directory=str(tmp_path / "job")) == {"FINISHED"}
    photo_of_start_up_scene.unlink()
    moved = shutil.move(tmp_path / "job", tmp_path / "elsewhere")
    scene, settings = load_job(Path(moved))
    assert Path(scene.photos[0].path).is_file()
    assert settings.targets == [Target("base_color", "Material")]
    with pytest.raises(RuntimeError, match=r"result\.json"):
        bpy.ops.likeness.job_apply(directory=str(moved))
    with in_window():
        bpy.ops.ed.undo_push(message="before")
        before = everything()
        finished_fit(Path(moved))
        bpy.ops.likeness.job_apply("EXEC_DEFAULT", True, directory=str(moved))
        assert [run.own_folder for run in _runs()] == [False]
        assert bpy.data.lights["Light"].energy == load_result(Path(moved)).lights[0].energy
        bpy.ops.ed.undo()
        assert everything() == before
        assert len(_runs()) == 0


def test_the_panel_marks_runs_that_are_gone_or_worse(tmp_path: Path) -> None:
    assert "likeness.history_apply" not in words("LIKENESS_PT_history")
    _record(tmp_path / "a")
    fine = words("LIKENESS_PT_history")
    assert {"likeness.history_apply", "likeness.history_settings", "likeness.job_save", "note"} <= {*fine}
    assert "20.0 → 31.0 dB" in words("LIKENESS_UL_runs", item=_runs()[0])
    assert not [text for text in fine if "gone" in text or "Less like" in text]
    shutil.rmtree(tmp_path / "a")
    _runs()[0].psnr_after = 10.0
    bad = words("LIKENESS_PT_history")
    assert "Its job folder is gone: settings only" in bad
    assert "Less like the photos than before" in bad
    assert "20.0 → 10.0 dB" in words("LIKENESS_UL_runs", item=_runs()[0])


def test_the_panel_says_which_side_is_shown(tmp_path: Path) -> None:
    assert not bpy.types.LIKENESS_PT_before_after.poll(bpy.context)
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    assert bpy.types.LIKENESS_PT_before_after.poll(bpy.context)
    assert "Showing After" in words("LIKENESS_PT_before_after")
    bpy.ops.likeness.before_after()
    assert "Showing Before" in words("LIKENESS_PT_before_after")
