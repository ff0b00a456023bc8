# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine in its own process: messages, stopping, the parent's end, and a Python that lacks something."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from likeness.engine.client import Worker
from likeness.engine.errors import EngineMissingError, LikenessError, PhotoError, SceneError
from likeness.engine.job import load_result, save_job
from likeness.engine.result import FitSettings, Progress, Target
from likeness.engine.scene import Camera, Light, Material, Mesh, Photo, Scene, ViewSettings

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "engine" / "worker.py"
LONG = 100_000  # iterations that no test waits for


def make_job(folder: Path, iterations: int) -> Path:
    """A lit plane before an orthographic camera, and a photo of it, as a job folder. No Blender needed."""
    photo = folder / "photo = ä.png"
    PillowImage.radial_gradient("L").resize((32, 32)).convert("RGB").save(photo)
    plane = Mesh(
        name="Plane",
        positions=np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        corner_normals=np.tile(np.array([0, 0, 1], np.float32), (2, 3, 1)),
        uv_maps={"UVMap": np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], np.float32)},
        active_uv="UVMap",
        material_names=["Wand"],
        material_index=np.zeros(2, np.int32),
        object_name="Plane",
    )
    above = np.eye(4)
    above[2, 3] = 3.0
    scene = Scene(
        meshes=[plane],
        materials={"Wand": Material("Wand")},
        lights=[Light("Sun", "Sun", "SUN", above.astype(np.float32), 2.0, np.ones(3, np.float32))],
        cameras={"Camera": Camera("Camera", above, kind="ORTHO", ortho_scale=2.0)},
        photos=[Photo("Camera", str(photo), name="photo")],
        view=ViewSettings(view_transform="Standard", config_path=_colour_config()),
    )
    settings = FitSettings([Target("base_color", "Wand")], iterations, 32, 16, "cpu")
    save_job(folder / "job", scene, settings)
    return folder / "job"


def _colour_config() -> str:
    import bpy

    return str(Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "colormanagement" / "config.ocio")


def start(job: Path, *, python: str = sys.executable, worker: Path = WORKER) -> subprocess.Popen[str]:
    """The worker with all its streams piped, from a folder that has nothing to do with the package."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.Popen(
        [python, str(worker), str(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=environment,
    )


def first_progress(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        message = json.loads(line)
        if message["type"] == "progress":
            return message
    raise AssertionError("no progress before the end: " + (process.stderr.read() if process.stderr else ""))


def all_messages(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Everything that the worker still says; its stdin stays open, whose end would stop it."""
    assert process.stdout is not None
    return [json.loads(line) for line in process.stdout]


def last_message(process: subprocess.Popen[str]) -> dict[str, Any]:
    return all_messages(process)[-1]


def test_messages_and_result_whatever_the_folder_is_called(tmp_path: Path) -> None:
    """Blender names the extension's folder after a repository; the worker is run by path from there."""
    home = tmp_path / "bl ext=ä" / "user_default"
    shutil.copytree(ROOT / "engine", home / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "__init__.py", home)
    job = make_job(tmp_path, 4)
    with start(job, worker=home / "engine" / "worker.py") as process:
        messages = all_messages(process)
    assert process.returncode == 0
    steps = [message for message in messages if message["type"] == "progress"]
    assert [step["iteration"] for step in steps] == list(range(1, steps[-1]["iterations"] + 1))
    result = load_result(job)
    assert result.iterations == len(steps)
    assert messages[-1] == {"type": "result", "path": str(job), "iterations": len(steps), "cancelled": False}
    assert result.images[0].material == "Wand"


@pytest.mark.parametrize("how", ["line", "SIGTERM"])
def test_stopping_writes_checkpoint_and_result(tmp_path: Path, how: str) -> None:
    job = make_job(tmp_path, LONG)
    with start(job) as process:
        assert process.stdin is not None
        first_progress(process)
        if how == "line":
            process.stdin.write("cancel\n")
            process.stdin.flush()
        else:
            process.send_signal(signal.Signals[how])
        end = last_message(process)
    assert process.returncode == 130
    assert (job / "checkpoint.pt").is_file()
    result = load_result(job)
    assert end == {"type": "result", "path": str(job), "iterations": result.iterations, "cancelled": True}
    assert result.cancelled
    assert 0 < result.iterations < LONG


def test_a_parent_that_is_killed_takes_the_worker_along(tmp_path: Path) -> None:
    """The parent gets no chance to say anything, as when Blender crashes."""
    job = make_job(tmp_path, LONG)
    program = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, {str(WORKER)!r}, {str(job)!r}],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\nprint(p.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(worker)
    assert (job / "checkpoint.pt").is_file()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_errors_are_messages(tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    (tmp_path / "photo = ä.png").write_bytes(b"")
    with start(job) as process:
        end = last_message(process)
    assert process.returncode == 3
    assert end["type"] == "error"
    assert end["exit_code"] == 3
    assert "photo = ä.png" in end["message"]
    with start(tmp_path / "no job") as process:
        assert "no job" in last_message(process)["message"]
    assert process.returncode == 3


def test_a_python_without_the_engine_says_what_is_missing(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    with start(make_job(tmp_path, 2), python=str(tmp_path / "bare" / "bin" / "python")) as process:
        end = last_message(process)
    assert process.returncode == 4
    assert end["exit_code"] == 4
    assert "numpy" in end["message"]


def test_memory_that_is_not_enough(tmp_path: Path) -> None:
    """A texture that would need 50 TB."""
    job = make_job(tmp_path, 2)
    data = json.loads((job / "job.json").read_text())
    data["settings"]["texture_size"] = 2_000_000
    (job / "job.json").write_text(json.dumps(data))
    with start(job) as process:
        end = last_message(process)
    assert process.returncode == 5, end
    assert "memory" in end["message"]


def drive(worker: Worker) -> list[Progress]:
    try:
        return [progress for progress in worker.wait() if progress is not None]
    finally:
        worker.close()


def test_client_cancels_and_goes_on(tmp_path: Path) -> None:
    job = make_job(tmp_path, 12)
    worker = Worker(sys.executable, job)
    for progress in worker.wait():
        if progress is not None:
            worker.cancel()
    worker.close()
    assert worker.result is not None
    again = Worker(sys.executable, job, resume=True)
    steps = drive(again)
    assert again.result is not None
    assert not again.result.cancelled
    assert again.result.iterations == steps[-1].iteration == steps[-1].iterations


def test_client_raises_what_the_worker_says(tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    (tmp_path / "photo = ä.png").unlink()
    with pytest.raises((SceneError, PhotoError), match="photo = ä"):
        drive(Worker(sys.executable, job))


def test_client_without_a_python(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError, match="no python here"):
        Worker(str(tmp_path / "no python here"), make_job(tmp_path, 2))


def test_client_of_a_worker_that_dies(tmp_path: Path) -> None:
    worker = Worker("/bin/false", make_job(tmp_path, 2))
    with pytest.raises(LikenessError, match="stopped with code 1"):
        drive(worker)
