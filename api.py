# SPDX-License-Identifier: GPL-3.0-or-later
"""Likeness from Python, in the words of the command line::

    import likeness
    fit = likeness.fit("pot.blend", photos={"Camera": "pot.jpg"}, fit=["base_color", "lights"])
    fit.apply()
    fit.save("fitted.blend")

Works with the ``bpy`` module and inside Blender, where ``likeness.fit(photos=…)`` takes the open file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .engine.client import Worker
from .engine.job import save_job, save_result
from .engine.preflight import preflight, view_warnings
from .engine.result import FitResult, FitSettings, Progress
from .engine.run import engine_installed, named_errors, run_fit
from .engine.scene import Scene
from .engine.targets import parse_target

if TYPE_CHECKING:
    import bpy

PathLike = str | os.PathLike[str]


@dataclass
class Plan:
    """A fit that has been checked and not been run: what goes in, and what the artist should know before."""

    scene: Scene
    settings: FitSettings
    warnings: list[str] = field(default_factory=list)
    blender_scene: bpy.types.Scene | None = None  # that was read; None for a plan that was stored


@dataclass
class Fit:
    """A fit that has been run. Nothing in Blender has changed until ``apply``."""

    plan: Plan
    result: FitResult
    blender_scene: bpy.types.Scene
    written: list[str] = field(default_factory=list)  # what ``apply`` had to replace or bypass, one line each
    folder: Path | None = None  # job folder, where it stays

    def apply(self, keep_before: bool = False) -> Fit:
        """Write the result into the open file: new images, nodes, lights, world. With ``keep_before`` the state before
        stays in the file for Before/After. Where the job folder stays, the run is added to the scene's history. Raises
        SceneError, with nothing changed, where a datablock is gone or linked, OutputError where the folder is full."""
        from .bridge import history
        from .bridge.write_result import write_result

        if self.folder is not None:
            save_result(self.folder, self.result)
        summary = write_result(self.blender_scene, self.result, keep_before)
        if self.folder is not None:
            history.add_run(self.blender_scene, self.folder.absolute(), self.plan.settings, self.result)
        self.written = [f"{note.datablock}: {note.message}" for note in summary.notes]
        return self

    def save(self, path: PathLike) -> None:
        """Save the open file, with what was applied, as a copy at ``path``. Raises OutputError."""
        from .bridge.open_save import save_blend

        save_blend(path)

    def report(self, folder: PathLike) -> Path:
        """Write the report into ``folder`` and return the path of its page. Raises OutputError."""
        with named_errors():
            from .engine.report import write_report

            return write_report(Path(folder), self.plan.scene, self.plan.settings, self.result)


def fit(
    scene: bpy.types.Scene | PathLike | None = None,
    photos: Mapping[str, PathLike] | Iterable[tuple[str, PathLike]] = (),
    fit: Iterable[str] = (),
    masks: Mapping[str, PathLike] | Iterable[tuple[str, PathLike]] = (),
    *,
    iterations: int | None = None,
    resolution: int | None = None,
    texture_size: int | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    seed: int | None = None,
    cycles: bool | None = None,
    run_dir: PathLike | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Fit ``scene`` to photos and return the outcome, not yet applied.

    ``scene`` is a Blender scene, the path of a .blend to open, or None for the open scene. ``photos`` and ``masks``
    map camera names to files (pairs, where a camera took several) and are added to the scene's photo list. ``fit``
    names targets as on the command line (``base_color@Gold``, ``lights``). What is left out is taken from the scene's
    own settings. With ``cycles`` Cycles renders the fit now and then, which is fitted to what it shows. With
    ``run_dir`` the job and its checkpoints stay in that folder, and ``resume`` goes on from them. ``stop`` is asked
    after each step; when it says True the result so far comes back with ``cancelled`` set. Raises a LikenessError.
    """
    blender_scene = _blender_scene(scene)
    add_photos(blender_scene, _pairs(photos), _pairs(masks))
    settings = choose_settings(
        blender_scene,
        fit,
        iterations=iterations,
        resolution=resolution,
        texture_size=texture_size,
        device=device,
        seed=seed,
        cycles=cycles,
    )
    plan = make_plan(blender_scene, settings)
    folder = nullcontext(run_dir) if run_dir is not None else tempfile.TemporaryDirectory(prefix="likeness-")
    with folder as place:
        result = run_plan(plan, Path(place), resume, on_progress, stop)
    return Fit(plan, result, blender_scene, folder=Path(run_dir) if run_dir is not None else None)


def add_photos(
    blender_scene: bpy.types.Scene, photos: Iterable[tuple[str, PathLike]], masks: Iterable[tuple[str, PathLike]]
) -> None:
    """Add photos, then masks, to the scene's list by camera name. Raises SceneError for a name that no camera has."""
    from .bridge import photo_list

    for camera, path in photos:
        photo_list.add_photo(blender_scene, camera, os.fspath(path))
    for camera, path in masks:
        photo_list.set_mask(blender_scene, camera, os.fspath(path))


def choose_settings(blender_scene: bpy.types.Scene, targets: Iterable[str], **given: Any) -> FitSettings:
    """The scene's own settings with what was given in their place; None counts as not given. Raises UsageError."""
    from .bridge.fit_settings import read_fit_settings

    settings = read_fit_settings(blender_scene)
    settings.targets = [parse_target(text) for text in targets] or settings.targets
    for name, value in given.items():
        if value is not None:
            setattr(settings, name, value)
    return settings


def make_plan(blender_scene: bpy.types.Scene, settings: FitSettings, bake: bool = True) -> Plan:
    """Read the scene and check all that can be checked before the fit. Without ``bake`` materials that Cycles would
    have to bake are only named: for a dry run. Raises SceneError, PhotoError, UsageError."""
    from .bridge.read_scene import read_scene

    scene = read_scene(blender_scene, bake=settings.texture_size if bake else None)
    plan = Plan(*preflight(scene, settings), blender_scene)
    if engine_installed():  # else the worker does it
        plan.warnings += view_warnings(plan.scene)
    return plan


def save_plan(blender_scene: bpy.types.Scene, folder: Path, copy_photos: bool = True) -> Plan:
    """Check the fit that the scene's own settings ask for and save it as a job, for the worker of another machine.
    Raises SceneError, PhotoError, UsageError, OutputError."""
    plan = make_plan(blender_scene, choose_settings(blender_scene, ()))
    save_run(plan, folder, copy_photos)
    return plan


def save_run(plan: Plan, folder: Path, copy_photos: bool = False) -> None:
    """Save all that a worker needs into ``folder``, with a copy of the file where Cycles is to look at the fit. Raises
    OutputError."""
    save_job(folder, plan.scene, plan.settings, copy_photos)
    if plan.settings.cycles and plan.blender_scene is not None:
        from .bridge.cycles_copy import save_copy

        save_copy(plan.blender_scene, folder)


def run_plan(
    plan: Plan,
    run_dir: Path,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    """Run a plan, in this process where torch and Warp are installed, else in the engine's own Python (the add-on's
    preference, or LIKENESS_PYTHON). Raises a LikenessError."""
    if not resume:
        save_run(plan, run_dir)
    if engine_installed():
        result = run_fit(plan.scene, plan.settings, run_dir, resume, on_progress, stop)
    else:
        result = _run_in_worker(run_dir, resume, on_progress, stop)
    # the engine checks a job again, wherever it comes from: say each thing once
    result.warnings = list(dict.fromkeys([*plan.warnings, *result.warnings]))
    return result


def _run_in_worker(
    run_dir: Path, resume: bool, on_progress: Callable[[Progress], None], stop: Callable[[], bool]
) -> FitResult:
    from .preferences import engine_python

    worker = Worker(engine_python(), run_dir, resume)
    try:
        asked = False
        for progress in worker.wait():
            if progress is not None:
                on_progress(progress)
            if stop() and not asked:
                worker.cancel()
                asked = True
        result = worker.result
        assert result is not None
        return result
    finally:
        worker.close()


def _blender_scene(scene: Any) -> bpy.types.Scene:
    from .bridge import open_save, session

    if scene is None:
        return session.current_scene()
    if isinstance(scene, str | os.PathLike):
        return open_save.open_blend(scene)
    return scene


def _pairs(given: Mapping[str, PathLike] | Iterable[tuple[str, PathLike]]) -> list[tuple[str, PathLike]]:
    return list(given.items() if isinstance(given, Mapping) else given)
