# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in Blender: queue, interrupted runs, and scenes that are renamed, copied or deleted meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import bpy
import numpy as np
import pytest

import likeness
from likeness import preferences
from likeness.bridge import session
from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection
from likeness.engine.errors import CancelledError, SceneError
from likeness.engine.job import load_result
from likeness.engine.locks import FileLock
from likeness.engine.runs import LOCK, find_run
from likeness.operators import running
from likeness.operators.run_state import CURVE_POINTS, add_loss, run_state
from likeness.panels.overlay import photo_corners
from likeness.panels.overlay_curve import curve_points

pytestmark = pytest.mark.engine


@pytest.fixture
def addon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Blender's start-up scene with the add-on switched on, and job folders of its own."""
    monkeypatch.setenv("LIKENESS_JOBS", str(tmp_path / "jobs"))
    bpy.ops.wm.read_factory_settings()
    likeness.register()
    yield
    likeness.unregister()


@pytest.fixture
def ready(addon: None, photo_of_start_up_scene: Path) -> bpy.types.Scene:
    """A scene whose fit takes seconds."""
    bpy.ops.likeness.photo_add(filepath=str(photo_of_start_up_scene), camera="Camera")
    settings = bpy.context.scene.likeness
    settings.iterations, settings.resolution, settings.texture_size, settings.device = 4, 48, 32, "cpu"
    return bpy.context.scene


def saved(tmp_path: Path, name: str = "pot.blend") -> Path:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / name))
    return tmp_path / name


def started() -> running.Running:
    folder = running.prepare(bpy.context, True, lambda *_: None)
    return running.Running(bpy.context, folder, False, False)


def wait_for(run: running.Running) -> None:
    while run.tick(bpy.context) is None:
        time.sleep(0.02)


def queued() -> Path:
    assert bpy.ops.likeness.fit(queue=True) == {"FINISHED"}
    state = run_state(bpy.context)
    return Path(state.queue[-1].folder)


def is_textured(material: str = "Material") -> bool:
    return bpy.data.materials[material].node_tree.nodes["Principled BSDF"].inputs["Base Color"].is_linked


def test_a_fit_then_what_is_in_the_queue(ready: bpy.types.Scene) -> None:
    first, removed = queued(), queued()
    bpy.ops.likeness.queue_remove(index=1)
    assert not removed.exists()
    ready.likeness.targets.base_color, ready.likeness.targets.lights = False, True
    energy = bpy.data.lights["Light"].energy
    assert bpy.ops.likeness.fit(apply_when_done=False) == {"FINISHED"}
    state = run_state(bpy.context)
    assert not state.queue
    assert not state.running
    assert Path(state.folder) == first
    assert is_textured(), "the fit from the queue is headless and applies"
    assert bpy.data.lights["Light"].energy == energy, "the other one was told not to"
    # each was saved when its button was pressed
    assert load_result(first).lights == []
    (other,) = [item for item in state.open_runs if item.folder != str(first)]
    assert other.has_result
    assert "not applied" in other.text
    bpy.ops.likeness.run_show(folder=other.folder)
    bpy.ops.likeness.apply()
    assert bpy.data.lights["Light"].energy != energy
    bpy.ops.likeness.runs_refresh()
    assert not state.open_runs
    assert len(state.previews) == 0
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.likeness.queue_remove(index=0)


def test_previews_and_report_come_from_the_worker(ready: bpy.types.Scene) -> None:
    bpy.ops.likeness.fit(apply_when_done=False)
    state = run_state(bpy.context)
    (shown,) = state.previews
    assert (shown.photo, shown.camera) == ("photo = ä", "Camera")
    pictures = np.load(shown.path)
    assert pictures.shape == (3, 27, 48, 4)
    result = load_result(Path(state.folder)).photos[0]
    for stored, wanted in zip(pictures, (result.photo, result.after, result.before), strict=True):
        assert np.abs(stored[..., :3] / 255.0 - wanted).max() < 0.5 / 255 + 1e-6
    assert Path(state.report).is_file()
    assert len(state.curve) > 0
    assert state.factor == 1.0


def test_cycles_checks_a_fit_of_the_add_on(ready: bpy.types.Scene) -> None:
    ready.render.engine, ready.likeness.use_cycles = "CYCLES", True
    bpy.ops.likeness.fit(apply_when_done=False)
    state = run_state(bpy.context)
    result = load_result(Path(state.folder))
    assert "Cycles' own renders of the fit met the photos" in result.cycles
    assert not list(Path(state.folder).glob("cycles*")), "a copy of the file that nobody needs any more"
    assert result.warnings == []
    # Cycles' looks are told as progress, too, before there is a loss and many times at the same step
    assert [point.iteration for point in state.curve] == list(range(1, result.iterations + 1))
    assert np.isfinite([point.loss for point in state.curve]).all()


def test_a_run_whose_blender_died_is_offered(ready: bpy.types.Scene, tmp_path: Path) -> None:
    """As after kill -9: the lock is gone with the process, the folder is as it was."""
    file = saved(tmp_path)
    folder = queued()
    running.let_go(folder)
    bpy.ops.wm.read_factory_settings()
    state = run_state(bpy.context)
    assert not state.open_runs, "it belongs to another file"
    bpy.ops.wm.open_mainfile(filepath=str(file))
    (offered,) = run_state(bpy.context).open_runs
    assert offered.text == 'The fit of pot.blend, scene "Scene", was interrupted before its first checkpoint'
    assert offered.can_resume
    assert not offered.has_result
    other = FileLock(folder / LOCK)
    assert other.acquire()
    with pytest.raises(RuntimeError, match="another Blender works on it"):
        bpy.ops.likeness.fit(resume=True, folder=str(folder))
    other.release()
    assert bpy.ops.likeness.fit(resume=True, folder=str(folder)) == {"FINISHED"}
    assert is_textured()
    assert not run_state(bpy.context).open_runs


def test_discard(ready: bpy.types.Scene, tmp_path: Path) -> None:
    saved(tmp_path)
    folder = queued()
    with pytest.raises(RuntimeError, match="gone, or at work"):
        bpy.ops.likeness.run_discard(folder=str(folder))
    with pytest.raises(RuntimeError, match="gone, or at work"):
        bpy.ops.likeness.run_discard(folder=str(tmp_path))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "pot.blend"))
    assert not run_state(bpy.context).queue, "the queue was let go of with its file"
    (offered,) = run_state(bpy.context).open_runs
    bpy.ops.likeness.run_discard(folder=offered.folder)
    assert not folder.exists()
    assert not run_state(bpy.context).open_runs
    assert (tmp_path / "pot.blend").is_file()


def test_scenes_are_found_again(addon: None) -> None:
    scene = bpy.context.scene
    uid = session.scene_uid(scene)
    scene.name = "Topf"
    assert session.scene_named("Scene", uid) == scene, "renamed"
    copy = scene.copy()
    copy.name = "Scene"
    assert copy.likeness.uid == uid
    session.scene_uid(scene)
    assert copy.likeness.uid != uid, "a copy is another scene"
    with pytest.raises(SceneError, match="no longer in the file"):
        session.scene_named("Scene", uid)  # never into a scene that took the name
    assert session.scene_named("Topf", uid) == scene
    bpy.data.scenes.remove(scene)
    with pytest.raises(SceneError, match="Topf"):
        session.scene_named("Topf", uid)


def test_a_scene_that_is_deleted_gets_nothing_and_the_result_is_kept(ready: bpy.types.Scene) -> None:
    run = started()
    other = bpy.data.scenes.new("Other")
    bpy.context.window.scene = other
    bpy.data.scenes.remove(ready)
    wait_for(run)
    run.worker.close()
    run.end(bpy.context)
    with pytest.raises(SceneError, match='Scene "Scene" is no longer'):
        run.scene()
    with pytest.raises(RuntimeError, match='Scene "Scene" is no longer'):
        bpy.ops.likeness.apply()
    assert not is_textured()
    found = find_run(run.folder)
    assert found is not None
    assert found.finished


def test_events_during_a_run(ready: bpy.types.Scene) -> None:
    """Camera, material and photo entry go away, the scene is undone and renamed; the run goes on and is kept."""
    run = started()
    bpy.data.materials["Material"].name = "Renamed"
    ready.likeness.photos.clear()
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    ready.name = "Topf"
    wait_for(run)
    run.worker.close()
    run.end(bpy.context)
    assert run_state(bpy.context).scene == "Topf"
    with pytest.raises(RuntimeError, match="Material"):
        bpy.ops.likeness.apply()
    bpy.data.materials["Renamed"].name = "Material"
    assert bpy.ops.likeness.apply() == {"FINISHED"}
    assert is_textured()


def test_another_file_lets_go_of_the_run(ready: bpy.types.Scene, tmp_path: Path) -> None:
    file = saved(tmp_path)
    ready.likeness.iterations = 100_000
    run = started()
    while not run.worker.iterations:
        run.tick(bpy.context)
    bpy.ops.wm.read_factory_settings()
    state = run_state(bpy.context)
    assert not state.running
    assert not state.folder
    assert run.worker.process.wait(60) is not None, "it ends by itself"
    bpy.ops.wm.open_mainfile(filepath=str(file))
    (offered,) = run_state(bpy.context).open_runs
    assert "was interrupted at" in offered.text
    assert offered.has_result, "what was reached can be applied without resuming"
    assert offered.can_resume


def test_cancel_is_done_within_a_second_even_if_the_worker_is_deaf(ready: bpy.types.Scene) -> None:
    ready.likeness.iterations = 100_000
    run = started()
    bpy.ops.likeness.cancel()  # it is still importing its packages
    began = time.monotonic()
    with pytest.raises(CancelledError):
        wait_for(run)
    assert time.monotonic() - began < 1.3
    run.end(bpy.context)
    assert run.worker.process.wait(5) != 0
    state = run_state(bpy.context)
    assert not state.stopped, "there is nothing to go on from"
    assert not state.has_result
    assert not state.running
    state.folder = ""
    bpy.ops.likeness.runs_refresh()
    assert not state.open_runs, "and nothing to offer"


def test_a_job_folder_that_is_gone_is_an_error_message(ready: bpy.types.Scene, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.likeness.fit(resume=True, folder=str(tmp_path / "nothing"))
    assert not run_state(bpy.context).running


def test_nothing_is_left_when_the_addon_is_switched_off_and_on(addon: None) -> None:
    state = run_state(bpy.context)
    state.folder, state.running = "/somewhere", True
    state.queue.add()
    likeness.unregister()
    likeness.register()
    state = run_state(bpy.context)
    assert (state.folder, state.running, len(state.queue)) == ("", False, 0)


def test_handlers_are_taken_back(addon: None) -> None:
    def ours() -> int:
        handlers = [*bpy.app.handlers.load_post, *bpy.app.handlers.load_pre]
        return sum(handler.__module__.startswith("likeness") for handler in handlers)

    assert ours() >= 2
    likeness.unregister()
    assert ours() == 0
    assert not hasattr(bpy.context.window_manager, "likeness_overlay")
    likeness.register()


@pytest.mark.parametrize("size", [(1920, 1080), (800, 1400)])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_the_overlay_lies_where_the_engine_projects(addon: None, size: tuple[int, int], fit: str, kind: str) -> None:
    obj = bpy.data.objects["Camera"]
    obj.data.sensor_fit, obj.data.shift_x, obj.data.shift_y, obj.data.type = fit, 0.1, -0.2, kind
    obj.scale = (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    corners = photo_corners(obj, size, (1.0, 2.0))
    camera = read_scene(bpy.context.scene).cameras["Camera"]
    placed = Projection.of(camera, *size, (1.0, 2.0)).project(np.array(corners))[:, :2]
    width, height = size
    assert np.allclose(placed, [(0, 0), (width, 0), (width, height), (0, height)], atol=1e-2)


def test_the_curve_stays_short_and_inside(addon: None) -> None:
    state = run_state(bpy.context)
    for step in range(1, 3000):
        add_loss(state, step, 1.0 / step)
    assert len(state.curve) <= CURVE_POINTS
    assert state.curve[0].iteration == 1
    assert state.curve[-1].iteration == 2999
    points = curve_points([(point.iteration, point.loss) for point in state.curve], 0.5)
    assert points[-1] == (0.5, 0.0)
    assert all(0 <= x <= 0.5 and 0 <= y <= 1 for x, y in points)
    assert all(a[1] >= b[1] for a, b in pairwise(points)), "the loss falls"
    assert curve_points([(1, 0.0), (2, float("nan"))], 0.5) == []


def test_jobs_are_kept_where_they_are_told(addon: None, tmp_path: Path) -> None:
    assert preferences.new_job_folder().parent == tmp_path / "jobs"
