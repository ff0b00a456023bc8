# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's history: finished runs with their settings and scores. Results stay in the job folders."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy

from ..engine.errors import LikenessError, SceneError
from ..engine.job import JOB, RESULT, load_job, load_result
from ..engine.result import MATERIAL_TARGETS, SCENE_TARGETS, TARGETS, FitResult, FitSettings
from ..engine.targets import parse_target
from .photo_list import settings as stored_settings
from .write_result import WriteSummary, write_result

# a photo that is met to the last bit has an infinite score; this is as good as 8 bits can tell
_BEST = 99.0
_ALSO_STORED = ("iterations", "resolution", "texture_size", "device", "seed")


def record_run(scene: bpy.types.Scene, folder: Path, settings: FitSettings, result: FitResult) -> None:
    """Add a run in a job folder of Likeness' own to the scene's history.

    In Blender's window that is an undo step of its own: undoing the apply that follows leaves the entry in the list.
    """
    add_run(scene, folder, settings, result, own_folder=True)
    if bpy.ops.ed.undo_push.poll():
        bpy.ops.ed.undo_push(message="Fit")


def add_run(
    scene: bpy.types.Scene, folder: Path, settings: FitSettings, result: FitResult, own_folder: bool = False
) -> Any:
    """Add a finished run to the scene's history and make it the active one; returns the entry.

    ``folder`` is the job folder, which holds the result; with ``own_folder`` it goes when the entry is removed. A run
    that went on in the same folder replaces its entry.
    """
    stored = stored_settings(scene)
    index = next((i for i, run in enumerate(stored.runs) if Path(run.folder) == folder), -1)
    if index >= 0:
        run = stored.runs[index]
    else:
        run = stored.runs.add()
        run.name = f"Run {_highest_number(stored.runs) + 1}"
        index = len(stored.runs) - 1
    run.folder, run.own_folder = str(folder), own_folder
    run.date = datetime.now().strftime("%Y-%m-%d %H:%M")
    run.targets = "\n".join(map(str, settings.targets))
    for name in _ALSO_STORED:
        setattr(run, name, getattr(settings, name))
    run.steps, run.stopped = result.iterations, result.cancelled
    run.seconds = sum(result.seconds.values())
    scores = [
        (photo.psnr_before, photo.psnr_after)
        for photo in result.photos
        if not math.isnan(photo.psnr_before) and not math.isnan(photo.psnr_after)
    ]
    run.photos = len(scores)
    run.psnr_before = _mean(before for before, _ in scores)
    run.psnr_after = _mean(after for _, after in scores)
    stored.active_run = index
    return run


def is_recorded(folder: str) -> bool:
    """Whether the history of a scene of the open file refers to this job folder."""
    wanted = Path(folder)
    return any(Path(run.folder) == wanted for scene in bpy.data.scenes for run in stored_settings(scene).runs)


def run_at(scene: bpy.types.Scene, index: int) -> Any:
    """The run of that place in the list, -1: the active one. Raises SceneError where there is none."""
    stored = stored_settings(scene)
    place = stored.active_run if index == -1 else index
    if not 0 <= place < len(stored.runs):
        raise SceneError(f'The history of scene "{scene.name}" has no run {place}. It has {len(stored.runs)} runs')
    return stored.runs[place]


def apply_run(scene: bpy.types.Scene, index: int = -1, keep_before: bool = True) -> WriteSummary:
    """Write the result of an earlier run. Raises SceneError, with nothing changed, also where its folder is gone."""
    run = run_at(scene, index)
    if not run.available:
        raise SceneError(
            f'{run.name}: its job folder "{run.folder}" is gone, so its result cannot be applied. Restore its settings '
            "and fit again"
        )
    return write_result(scene, load_result(Path(run.folder)), keep_before)


def apply_folder(scene: bpy.types.Scene, folder: Path, keep_before: bool = True) -> WriteSummary:
    """Write the result of a job that was computed elsewhere, and record it. Raises SceneError, with nothing changed."""
    settings = load_job(folder)[1]
    result = load_result(folder)
    summary = write_result(scene, result, keep_before)
    add_run(scene, folder, settings, result)
    return summary


def remove_run(scene: bpy.types.Scene, index: int = -1, delete_files: bool = True) -> str:
    """Take a run out of the list; returns its name. ``delete_files`` removes its job folder, if that is Likeness' own
    and no other entry refers to it."""
    run = run_at(scene, index)
    stored = stored_settings(scene)
    name, folder, own = run.name, Path(run.folder), run.own_folder
    place = next(i for i, other in enumerate(stored.runs) if other == run)
    stored.runs.remove(place)
    stored.active_run = max(0, min(stored.active_run - (place < stored.active_run), len(stored.runs) - 1))
    if delete_files and own and _is_job(folder) and not is_recorded(str(folder)):
        shutil.rmtree(folder, ignore_errors=True)
    return name


def restore_settings(scene: bpy.types.Scene, index: int = -1) -> list[str]:
    """Put targets and settings of a run back into the panels; returns what could not be, one line each."""
    run = run_at(scene, index)
    stored = stored_settings(scene)
    for name in _ALSO_STORED:
        setattr(stored, name, getattr(run, name))
    return restore_targets(scene, run.targets.splitlines())


def restore_targets(scene: bpy.types.Scene, words: Iterable[str]) -> list[str]:
    """Tick in the panel what ``words`` name (``base_color@Gold``); returns what could not be, one line each."""
    chosen = stored_settings(scene).targets
    missing = []
    targets = []
    for word in words:
        try:
            targets.append(parse_target(word))
        except LikenessError as error:  # written by a newer version
            missing.append(str(error))
    for kind in TARGETS:
        setattr(chosen, kind, any(target.kind == kind for target in targets))
    for pointer, kinds, owner in (
        ("material", MATERIAL_TARGETS, bpy.data.materials),
        ("light", ("lights",), bpy.data.lights),
    ):
        named = {
            target.datablock for target in targets if target.kind in kinds and target.kind not in SCENE_TARGETS[1:]
        }
        only = None
        if len(named) == 1 and None not in named:
            (name,) = named
            only = next((datablock for datablock in owner if datablock.name_full == name), None)
            if only is None:
                missing.append(f'There is no {pointer} "{name}" in this file any more; all are ticked instead')
        setattr(chosen, pointer, only)
    return missing


def _is_job(folder: Path) -> bool:
    """Whether a folder is what it is taken for, before it is deleted."""
    for name in (JOB, RESULT):
        try:
            data = json.loads((folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return False
        if not isinstance(data, dict) or "likeness" not in data:
            return False
    return True


def _highest_number(runs: Any) -> int:
    numbers = [run.name.removeprefix("Run ") for run in runs]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def _mean(values: Iterable[float]) -> float:
    scores = [min(value, _BEST) for value in values]
    return sum(scores) / len(scores) if scores else 0.0
