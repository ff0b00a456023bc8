# SPDX-License-Identifier: GPL-3.0-or-later
"""``likeness fit``: check everything, fit, write the .blend and the report, tidy up."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import api
from ..engine.errors import EXIT_CANCELLED, EXIT_OK, CancelledError, LikenessError, OutputError, SceneError, UsageError
from ..engine.job import load_job, load_result, save_result
from ..engine.result import FitResult, FitSettings
from ..engine.targets import parse_target
from .arguments import resolve_assignment
from .console import Console, clock
from .interrupt import Interrupt, catch_interrupts
from .outputs import check_new_folder, check_output
from .scene import load_scene, scene_path

_REQUEST = "request.json"
_CHECKPOINT = "checkpoint.pt"
_SETTINGS = ("iterations", "resolution", "texture_size", "device", "seed", "cycles")


@dataclass
class Request:
    """Files of one fit: what to read and where to write. Kept in the run folder, so that ``--resume`` needs no more."""

    scene: Path
    output: Path | None  # None: a dry run
    report: Path | None
    run_dir: Path
    keep_run_dir: bool

    def save(self) -> None:
        values = {k: os.path.abspath(v) for k, v in vars(self).items() if isinstance(v, Path)}
        self.run_dir.joinpath(_REQUEST).write_text(
            json.dumps(values | {"keep_run_dir": self.keep_run_dir}, ensure_ascii=False), encoding="utf-8"
        )


def run(options: argparse.Namespace, console: Console) -> int:
    """The whole command; returns the exit code. Raises a LikenessError."""
    with catch_interrupts() as interrupt:
        return _run(options, console, interrupt)


def _run(options: argparse.Namespace, console: Console, interrupt: Interrupt) -> int:
    started = time.monotonic()
    stored = _stored_request(options.resume) if options.resume is not None else {}
    request = _request(options, stored)
    targets = [str(parse_target(text)) for text in options.fit]  # before anything slow
    blender_scene = load_scene(request.scene)
    photos, masks = _assignments(options, blender_scene)
    if options.resume is not None:
        plan = _stored_plan(options, request.run_dir, targets, photos)
        api.add_photos(blender_scene, [(p.camera, p.path) for p in plan.scene.photos], [])
    else:
        api.add_photos(blender_scene, photos, masks)
        given = {name: getattr(options, name) for name in _SETTINGS}
        settings = api.choose_settings(blender_scene, targets, **given)
        plan = api.make_plan(blender_scene, settings, bake=not options.dry_run)
    for message in plan.warnings:
        console.warn(message)
    if options.dry_run:
        _print_plan(console, request, plan)
        return EXIT_OK
    if interrupt.asked:
        raise CancelledError("Stopped before the fit began; nothing was written.")

    _prepare_run_dir(request, options.resume is not None, console)
    console.say(f"Fitting {_list(map(str, plan.settings.targets))} to {len(plan.scene.photos)} photo(s).")
    try:
        result = _finished(request.run_dir) if options.resume is not None else None
        if result is None:
            resume = options.resume is not None
            result = api.run_plan(plan, request.run_dir, resume, console.progress, interrupt)
    except LikenessError:
        _drop_run_dir(request, unless_resumable=True)
        raise
    for message in result.warnings:
        if message not in plan.warnings:
            console.warn(message)
    try:
        folder = request.run_dir if request.keep_run_dir else None
        _write(api.Fit(plan, result, blender_scene, folder=folder), request, console)
    except OutputError as error:
        _keep(result, request)
        raise OutputError(
            f'{error} The fit is kept; write it with: likeness fit --resume "{request.run_dir}" --output OTHER.blend'
        ) from error
    _summarise(console, request, result, time.monotonic() - started)
    if result.cancelled:
        raise CancelledError(
            f'Stopped after {result.iterations} steps; go on with: likeness fit --resume "{request.run_dir}"'
        )
    _drop_run_dir(request)
    return EXIT_OK


def _request(options: argparse.Namespace, stored: dict[str, Any]) -> Request:
    def path(name: str) -> Path | None:
        value = getattr(options, name) or stored.get(name)
        return Path(value) if value else None

    scene = scene_path(path("scene"))
    output, report = path("output"), path("report")
    if output is None and not options.dry_run:
        raise UsageError("--output OUT.blend is missing: where shall the result go?")
    if output is not None:
        check_output(output, (".blend",), [scene])
    if report is not None:
        check_new_folder(report, f'--report "{report}"')
    kept = options.resume or options.run_dir
    run_dir = kept or (output or scene).with_suffix(".likeness")
    if not options.dry_run:
        check_new_folder(run_dir, f'The run folder "{run_dir}"')
    keep = options.run_dir is not None or bool(stored.get("keep_run_dir"))
    return Request(scene, output, report, run_dir, keep)


def _assignments(
    options: argparse.Namespace, blender_scene: Any
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    from ..bridge.session import camera_names

    cameras = camera_names(blender_scene)
    photos = [resolve_assignment(text, "--photo", cameras) for text in options.photo]
    return photos, [resolve_assignment(text, "--mask", cameras) for text in options.mask]


def _stored_request(run_dir: Path) -> dict[str, Any]:
    try:
        return json.loads((run_dir / _REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SceneError(f'--resume "{run_dir}": this is not the run folder of a fit that was stopped.') from None


def _stored_plan(
    options: argparse.Namespace, run_dir: Path, targets: list[str], photos: list[tuple[str, str]]
) -> api.Plan:
    """The plan as it was when the fit began; only then does it end where it would have ended without the stop."""
    scene, settings = load_job(run_dir)
    stored_targets = {str(target) for target in settings.targets}
    kinds = stored_targets | {target.kind for target in settings.targets}
    changed = [f"--fit {target}" for target in targets if target not in kinds]
    stored_photos = {(photo.camera, os.path.abspath(photo.path)) for photo in scene.photos}
    changed += [f"--photo {c}={p}" for c, p in photos if (c, os.path.abspath(p)) not in stored_photos]
    for name in _SETTINGS:
        value = getattr(options, name)
        if value is not None and value != getattr(settings, name):
            changed.append(_option(name, value))
    if changed:
        raise UsageError(
            f"A resumed fit keeps the settings it began with, and {changed[0]} differs from them; "
            "leave it out, or start anew without --resume."
        )
    return api.Plan(scene, settings)


def _option(name: str, value: Any) -> str:
    """How a setting is said on the command line."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    return f"--{words} {value}"


def _prepare_run_dir(request: Request, resume: bool, console: Console) -> None:
    if not resume and (request.run_dir / _CHECKPOINT).exists():
        console.warn(f'The unfinished fit in "{request.run_dir}" is replaced; --resume would have gone on with it.')
        (request.run_dir / _CHECKPOINT).unlink()
    request.run_dir.mkdir(exist_ok=True)
    request.save()


def _drop_run_dir(request: Request, unless_resumable: bool = False) -> None:
    """Remove the run folder, unless the user named it, or ``unless_resumable`` and there is a checkpoint in it."""
    if not request.keep_run_dir and not (unless_resumable and (request.run_dir / _CHECKPOINT).exists()):
        shutil.rmtree(request.run_dir, ignore_errors=True)


def _finished(run_dir: Path) -> FitResult | None:
    """The result of a fit that ended and could not be written."""
    if not (run_dir / "result.json").exists():
        return None
    result = load_result(run_dir)
    return None if result.cancelled else result


def _keep(result: FitResult, request: Request) -> None:
    """Save a result that could not be written. Raises OutputError where that cannot be saved either."""
    try:
        save_result(request.run_dir, result)
    except OutputError:
        _drop_run_dir(request, unless_resumable=True)
        raise


def _write(fit: api.Fit, request: Request, console: Console) -> None:
    assert request.output is not None
    for note in fit.apply().written:
        console.warn(note)
    fit.save(request.output)
    if request.report is not None:
        page = fit.report(request.report)
        console.say(f"Report: {page}")


def _print_plan(console: Console, request: Request, plan: api.Plan) -> None:
    settings: FitSettings = plan.settings
    triangles = sum(len(mesh.triangles) for mesh in plan.scene.meshes)
    photos = [
        {"camera": p.camera, "file": p.path, "mask": p.mask_path, "weight": p.weight, "exposure": p.exposure}
        for p in plan.scene.photos
    ]
    values = {name: getattr(settings, name) for name in _SETTINGS}
    targets = [str(target) for target in settings.targets]
    console.send(
        "plan",
        scene=str(request.scene),
        output=str(request.output or ""),
        report=str(request.report or ""),
        photos=photos,
        targets=targets,
        **values,
    )
    console.say(f"Scene       {request.scene} ({len(plan.scene.meshes)} meshes, {triangles} triangles)")
    for photo in photos:
        mask = f", mask {photo['mask']}" if photo["mask"] else ""
        console.say(f"Photo       {photo['camera']}: {photo['file']}{mask}")
    console.say(f"Fit         {_list(targets)}")
    console.say(f"View        {plan.scene.view.view_transform}, look {plan.scene.view.look}")
    console.say(f"Iterations  {settings.iterations or 'chosen from photos and targets'}")
    console.say(f"Resolution  {settings.resolution} px, textures {settings.texture_size} texels")
    console.say(f"Device      {settings.device}, seed {settings.seed}")
    if settings.cycles:
        console.say("Cycles      looks at the fit now and then")
    console.say(f"Output      {request.output or '(none given)'}")
    if request.report is not None:
        console.say(f"Report      {request.report}")


def _summarise(console: Console, request: Request, result: FitResult, seconds: float) -> None:
    for photo in result.photos:
        console.say(f"{photo.name}: {photo.psnr_before:.2f} dB before, {photo.psnr_after:.2f} dB after")
    if result.gauge:
        console.say(f"Held fixed: {result.gauge}")
    if result.cycles:
        console.say(result.cycles)
    console.say(f"Wrote {request.output} after {clock(seconds)}.")
    console.send(
        "result",
        output=str(request.output),
        report=str(request.report or ""),
        cancelled=result.cancelled,
        iterations=result.iterations,
        seconds=seconds,
        gauge=result.gauge,
        exit_code=EXIT_CANCELLED if result.cancelled else EXIT_OK,
        photos=[
            {"name": p.name, "camera": p.camera, "psnr_before": p.psnr_before, "psnr_after": p.psnr_after}
            for p in result.photos
        ],
    )


def _list(items: Any) -> str:
    return ", ".join(items)
