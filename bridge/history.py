# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's history: finished runs with their settings and scores. Results stay in the job folders."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import bpy

from ..engine.errors import LikenessError, SceneError
from ..engine.job import JOB, RESULT, load_result, load_settings
from ..engine.locks import is_locked
from ..engine.result import CAMERA_TARGETS, MATERIAL_TARGETS, TARGETS, FitResult, FitSettings, Target
from ..engine.runs import LOCK, discard, settle
from ..engine.targets import parse_target
from . import target_rows
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
    run.use_cycles = settings.cycles
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
    folder = Path(run.folder)
    summary = write_result(scene, load_result(folder), keep_before)
    settle(folder)
    return summary


def apply_folder(scene: bpy.types.Scene, folder: Path, keep_before: bool = True) -> WriteSummary:
    """Write the result of a job that was computed elsewhere, and record it. Raises SceneError, with nothing changed."""
    settings = load_settings(folder)
    result = load_result(folder)
    summary = write_result(scene, result, keep_before)
    add_run(scene, folder, settings, result)
    return summary


def remove_run(scene: bpy.types.Scene, index: int = -1, delete_files: bool = True) -> str:
    """Take a run out of the list; returns its name. ``delete_files`` removes its job folder, if that is Likeness' own
    and no other entry refers to it. Raises SceneError for a run that goes on in that folder at this moment."""
    run = run_at(scene, index)
    if delete_files and is_locked(Path(run.folder) / LOCK):
        raise SceneError(f"{run.name} goes on at this moment. Stop it first")
    stored = stored_settings(scene)
    name, folder, own = run.name, Path(run.folder), run.own_folder
    place = next(i for i, other in enumerate(stored.runs) if other == run)
    stored.runs.remove(place)
    stored.active_run = max(0, min(stored.active_run - (place < stored.active_run), len(stored.runs) - 1))
    if delete_files and own and _is_job(folder) and not is_recorded(str(folder)):
        discard(folder)
    return name


def restore_settings(scene: bpy.types.Scene, index: int = -1) -> list[str]:
    """Put targets and settings of a run back into the panels; returns what could not be, one line each."""
    run = run_at(scene, index)
    stored = stored_settings(scene)
    for name in _ALSO_STORED:
        setattr(stored, name, getattr(run, name))
    stored.use_cycles = run.use_cycles
    return restore_targets(scene, run.targets.splitlines())


def restore_targets(scene: bpy.types.Scene, words: Iterable[str]) -> list[str]:
    """Tick in the panel what ``words`` name (``base_color@Gold``); returns what could not be, one line each.

    Where the switches cannot say it, things are chosen one by one.
    """
    chosen = stored_settings(scene).targets
    missing: dict[str, None] = {}
    targets = []
    for word in words:
        try:
            targets.append(parse_target(word))
        except LikenessError as error:  # written by a newer version
            missing[str(error)] = None
    target_rows.refresh(scene)
    free = {row.material or row.light: row for row in chosen.rows if target_rows.row_kinds(row) and not row.obstacle}
    names = {owner.name_full for owner in free}
    for target in targets:
        if target.kind in CAMERA_TARGETS:
            continue  # the panel knows them all alike
        if target.datablock is not None and target.datablock not in names:
            what = "light" if target.kind in target_rows.LIGHT_KINDS else "material"
            missing[f'There is no {what} "{target.datablock}" to fit in this scene any more'] = None
    with target_rows.writing():
        for kind in TARGETS:
            setattr(chosen, kind, any(target.kind == kind for target in targets))
        for owner, row in free.items():
            for kind in target_rows.row_kinds(row):
                setattr(row, kind, Target(kind) in targets or Target(kind, owner.name_full) in targets)
        only_material, materials_alike = _only(
            targets, MATERIAL_TARGETS, [o for o, row in free.items() if row.material]
        )
        only_light, lights_alike = _only(targets, target_rows.LIGHT_KINDS, [o for o, row in free.items() if row.light])
        chosen.material, chosen.light = only_material, only_light
    chosen.one_by_one = not (materials_alike and lights_alike)
    return list(missing)


def _only(targets: list[Target], kinds: tuple[str, ...], owners: list[Any]) -> tuple[Any, bool]:
    """The one datablock that ``targets`` of these kinds name, None for all; and whether that says everything."""
    sets = [{target.datablock for target in targets if target.kind == kind} for kind in kinds]
    chosen = [names for names in sets if names]
    if not chosen:
        return None, True
    names = chosen[0]
    if any(other != names for other in chosen):
        return None, False
    if None in names or names >= {owner.name_full for owner in owners}:
        return None, True
    return next((owner for owner in owners if names == {owner.name_full}), None), len(names) == 1


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
