# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on in Blender: registration, operators in background mode, undo. Runs with every supported bpy wheel."""

from __future__ import annotations

import pkgutil
import shutil
from importlib import import_module
from pathlib import Path

import bpy
import numpy as np
import pytest

import likeness
from likeness import properties, registration
from likeness.bridge import photo_list
from likeness.engine.job import save_result
from likeness.engine.result import FitResult, FittedImage, FittedLight
from likeness.operators.run_state import run_state


def test_register_and_unregister_twice() -> None:
    for _ in range(2):
        likeness.register()
        likeness.register()
        assert all(cls.is_registered for cls in registration.CLASSES)
        assert hasattr(bpy.context.scene, "likeness")
        likeness.unregister()
        likeness.unregister()
        assert not any(cls.is_registered for cls in registration.CLASSES)
        assert not hasattr(bpy.context.scene, "likeness")
        assert not hasattr(bpy.context.window_manager, "likeness_run")


def test_every_class_is_registered() -> None:
    """A class that somebody wrote and forgot to list would simply not be there."""
    kinds = (bpy.types.Operator, bpy.types.Panel, bpy.types.UIList, bpy.types.PropertyGroup)
    listed = {*registration.CLASSES, *properties.CLASSES}
    for room in ("operators", "panels", "properties"):
        package = import_module(f"likeness.{room}")
        for found in pkgutil.iter_modules(package.__path__):
            module = import_module(f"likeness.{room}.{found.name}")
            for value in vars(module).values():
                if isinstance(value, type) and issubclass(value, kinds) and value.__module__ == module.__name__:
                    assert value in listed, value


def test_operators_say_what_they_do() -> None:
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            assert cls.__doc__
            assert not cls.__doc__.strip().endswith("."), "Blender adds the full stop of a tooltip"


@pytest.mark.usefixtures("addon")
def test_photos_go_to_the_camera_of_their_name(tmp_path: Path) -> None:
    data = bpy.data.cameras.new("Left")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Left ä", data))
    for name in ("Left ä.png", "other.png"):
        (tmp_path / name).write_bytes(b"")
    bpy.ops.likeness.photo_add(
        filepath=str(tmp_path / "Left ä.png"),
        directory=str(tmp_path),
        files=[{"name": "Left ä.png"}, {"name": "other.png"}],
        camera="Camera",
    )
    listed = bpy.context.scene.likeness.photos
    assert [(item.camera.name, Path(photo_list.absolute_path(item.path)).name) for item in listed] == [
        ("Left ä", "Left ä.png"),
        ("Camera", "other.png"),
    ]
    bpy.context.scene.likeness.active_photo = 0
    bpy.ops.likeness.photo_remove()
    assert [item.camera.name for item in listed] == ["Camera"]
    bpy.ops.likeness.photo_remove()
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.likeness.photo_remove()


@pytest.mark.usefixtures("addon")
def test_a_camera_that_is_not_there_is_an_error_message(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match='no camera "Nobody"') as caught:
        bpy.ops.likeness.photo_add(filepath=str(tmp_path / "a.png"), camera="Nobody")
    assert "Traceback" not in str(caught.value)


@pytest.mark.usefixtures("addon")
def test_fit_without_photos_is_greyed_out() -> None:
    assert not bpy.ops.likeness.fit.poll()
    assert not bpy.ops.likeness.apply.poll()
    assert not bpy.ops.likeness.cancel.poll()
    assert not bpy.ops.likeness.report_open.poll()


@pytest.mark.usefixtures("addon")
def test_a_photo_that_is_not_there_is_an_error_message(tmp_path: Path) -> None:
    bpy.ops.likeness.photo_add(filepath=str(tmp_path / "gone.png"), camera="Camera")
    with pytest.raises(RuntimeError, match=r"gone\.png") as caught:
        bpy.ops.likeness.fit()
    assert "Traceback" not in str(caught.value)
    assert not run_state(bpy.context).running


@pytest.mark.usefixtures("addon")
def test_an_engine_that_is_not_there_is_an_error_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "no python"))
    bpy.ops.likeness.photo_add(filepath=str(tmp_path / "a.png"), camera="Camera")
    with pytest.raises(RuntimeError, match="no python"):
        bpy.ops.likeness.fit()


@pytest.mark.usefixtures("addon")
def test_check_lists_what_is_not_exact() -> None:
    bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Subsurface Weight"].default_value = 1.0
    bpy.ops.likeness.check()
    findings = bpy.context.window_manager.likeness_preflight.findings
    assert any(finding.datablock == 'Material "Material"' and "ubsurface" in finding.message for finding in findings)


def _finished_fit(folder: Path) -> None:
    """A result on disk as the worker leaves it."""
    pixels = np.full((4, 4, 3), (1.0, 0.5, 0.0), np.float32)
    save_result(
        folder,
        FitResult(
            images=[FittedImage("Material", "base_color", pixels, "sRGB", 8)],
            lights=[FittedLight("Light", 123.0, np.array([1.0, 0.5, 0.25], np.float32))],
        ),
    )
    state = run_state(bpy.context)
    state.folder, state.scene, state.has_result = str(folder), bpy.context.scene.name, True


def _base_color_is_linked() -> bool:
    return bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Base Color"].is_linked


@pytest.mark.usefixtures("addon")
def test_apply_is_one_undo_step(tmp_path: Path) -> None:
    _finished_fit(tmp_path)
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, screen=window.screen):
        bpy.ops.ed.undo_push(message="before")
        images = len(bpy.data.images)
        assert bpy.ops.likeness.apply("EXEC_DEFAULT", True) == {"FINISHED"}
        assert _base_color_is_linked()
        assert bpy.data.lights["Light"].energy == pytest.approx(123.0)
        bpy.ops.ed.undo()
        assert not _base_color_is_linked()
        assert bpy.data.lights["Light"].energy == pytest.approx(1000.0)
        assert len(bpy.data.images) == images


@pytest.mark.usefixtures("addon")
def test_a_result_for_a_material_that_is_gone_is_an_error_message(tmp_path: Path) -> None:
    _finished_fit(tmp_path)
    bpy.data.materials.remove(bpy.data.materials["Material"])
    with pytest.raises(RuntimeError, match="Material") as caught:
        bpy.ops.likeness.apply()
    assert "Traceback" not in str(caught.value)
    assert bpy.data.lights["Light"].energy == pytest.approx(1000.0)


@pytest.mark.usefixtures("addon")
def test_a_broken_result_is_an_error_message(tmp_path: Path) -> None:
    _finished_fit(tmp_path)
    (tmp_path / "result.npz").write_bytes(b"broken")
    with pytest.raises(RuntimeError, match="damaged"):
        bpy.ops.likeness.apply()


@pytest.mark.usefixtures("addon")
def test_fit_runs_in_a_worker_and_applies(photo_of_start_up_scene: Path) -> None:
    """The Fit button in background mode, with the real engine in the real worker process."""
    settings = bpy.context.scene.likeness
    bpy.ops.likeness.photo_add(filepath=str(photo_of_start_up_scene), camera="Camera")
    settings.targets.base_color = True
    settings.iterations, settings.resolution, settings.texture_size, settings.device = 4, 48, 32, "cpu"
    assert bpy.ops.likeness.fit() == {"FINISHED"}
    state = run_state(bpy.context)
    assert not state.running
    assert state.has_result
    assert _base_color_is_linked()
    assert "photo = ä" in Path(state.report).read_text()
    assert bpy.ops.likeness.report_open() == {"FINISHED"}
    shutil.rmtree(state.folder)
    with pytest.raises(RuntimeError, match="gone"):
        bpy.ops.likeness.report_open()
