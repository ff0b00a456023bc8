# SPDX-License-Identifier: GPL-3.0-or-later
"""A fit on a farm: make a job folder here, compute it there, apply the result here.

::

    blender --background --python-exit-code 1 --python farm.py -- save pot.blend /farm/job
    python farm.py compute /farm/job             (on the farm: torch and Warp, no Blender)
    blender --background --python-exit-code 1 --python farm.py -- apply pot.blend /farm/job fitted.blend

The .blend holds photos, targets and settings, as the sidebar stores them. The job holds copies of the photos.
``compute`` goes on from the checkpoint where an earlier machine was stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_CANCELLED = 130


def main() -> int:
    """One of the three steps; returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    save, compute, apply = (steps.add_parser(name) for name in ("save", "compute", "apply"))
    for step in (save, apply):
        step.add_argument("scene", type=Path)
    for step in (save, compute, apply):
        step.add_argument("job", type=Path)
    compute.add_argument("--python", default=sys.executable, help="Python with torch and Warp")
    compute.add_argument("--likeness", type=Path, help="folder of the package, where it is not installed")
    apply.add_argument("output", type=Path)
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
    if options.step == "compute":
        return compute_job(options.job, options.python, options.likeness)
    try:
        if options.step == "save":
            save_job(options.scene, options.job)
        else:
            apply_job(options.scene, options.job, options.output)
    except RuntimeError as error:  # what an operator reported
        print(error, file=sys.stderr)
        return 3
    return 0


def save_job(scene: Path, job: Path) -> None:
    """Write the fit that the scene asks for into a folder that can travel."""
    bpy = open_scene(scene)
    bpy.ops.likeness.job_save(directory=str(job.absolute()), copy_photos=True)


def compute_job(job: Path, python: str, package: Path | None) -> int:
    """Run the worker and show its messages, JSON lines, as a farm wants them; returns its exit code."""
    if package is None:
        import likeness

        package = Path(likeness.__file__).parent
    resume = ["--resume"] if (job / "checkpoint.pt").is_file() else []
    command = [python, str(package / "engine" / "worker.py"), str(job), *resume]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for line in worker.stdout:
            message = json.loads(line)
            if message["type"] == "progress":
                print(f"Progress: {100 * message['iteration'] // max(message['iterations'], 1)}%", flush=True)
            elif message["type"] in ("warning", "error"):
                print(f"{message['type'].title()}: {message['message']}", file=sys.stderr, flush=True)
    if worker.returncode == _CANCELLED:
        print("Stopped; run the same command again to go on", file=sys.stderr)
    return worker.returncode


def apply_job(scene: Path, job: Path, output: Path) -> None:
    """Write the result into the scene and save it as another file."""
    bpy = open_scene(scene)
    bpy.ops.likeness.job_apply(directory=str(job.absolute()))
    run = bpy.context.scene.likeness.runs[-1]
    print(f"{run.targets!r}: {run.psnr_before:.1f} dB before, {run.psnr_after:.1f} dB after")
    bpy.ops.wm.save_as_mainfile(filepath=str(output.absolute()), copy=True)


def open_scene(path: Path) -> Any:
    """Open a .blend with the add-on switched on; returns bpy."""
    import bpy  # here, because the farm has none

    if not hasattr(bpy.types, "LIKENESS_OT_fit"):  # the bpy module, or Blender without the add-on
        import likeness

        likeness.register()
    bpy.ops.wm.open_mainfile(filepath=str(path.absolute()))
    return bpy


if __name__ == "__main__":
    sys.exit(main())
