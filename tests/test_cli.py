# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it writes, what it says, how it ends."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image

import likeness
from likeness.cli import console
from likeness.cli.arguments import resolve_assignment
from likeness.engine.errors import SceneError, UsageError
from likeness.engine.result import Progress
from tests.cli_scenes import (
    CAMERA,
    OTHER_CAMERA,
    QUICK,
    Run,
    build_scene,
    image_pixels,
    listing,
    photo_of,
    plug_noise,
)


def test_a_fit_that_waits_says_so_once_without_figures_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_LINE_INTERVAL", 0.0)
    stream = io.StringIO()
    said = console.Console(stream)
    waiting = Progress(0, 9, "Cycles looks at it", math.nan, 0.0, math.nan)
    for step in (waiting, waiting, Progress(1, 9, "polish", 0.5, 2.0, 4.0), waiting):
        said.progress(step)
    waits = "Cycles looks at it  0/9"
    assert stream.getvalue().splitlines() == [waits, "polish  1/9  loss 0.50000  2.00 it/s  0:04 left", waits]


def test_fit_writes_an_ordinary_blend_and_leaves_the_input_alone(run: Run, folder: Path, scene: Path) -> None:
    before = hashlib.sha256(scene.read_bytes()).digest()
    out = folder / "sub"
    out.mkdir()
    done = run(
        "fit", scene, "--photo", photo_of(folder), "--fit", "base_color@Material", "lights", "--fit", "exposure",
        "--output", out / "aus.blend", "--report", folder / "report", *QUICK,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.err == ""
    assert "dB before" in done.out
    assert hashlib.sha256(scene.read_bytes()).digest() == before
    assert listing(out) == {"aus.blend"}
    assert "photo=1 ö" in (folder / "report" / "report.html").read_text(encoding="utf-8")
    bpy.ops.wm.open_mainfile(filepath=str(out / "aus.blend"))
    socket = bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Base Color"]
    image = socket.links[0].from_node.image
    assert image.packed_file is not None
    assert image.colorspace_settings.name == "sRGB"
    item = bpy.context.scene.likeness.photos[0]
    assert Path(bpy.path.abspath(item.path)).resolve() == (folder / "photo=1 ö.png").resolve()


def test_photos_and_targets_of_the_file_are_used(run: Run, folder: Path) -> None:
    from likeness.bridge import photo_list

    def change(scene: bpy.types.Scene) -> None:
        photo_list.add_photo(scene, OTHER_CAMERA, str(folder / "photo=1 ö.png"))
        scene.likeness.targets.roughness = True
        scene.likeness.seed = 5

    scene = build_scene(folder / "with list.blend", change)
    plan = run("fit", scene, "--photo", photo_of(folder), "--dry-run", "--progress", "json")
    assert plan.code == 0
    message = json.loads(plan.out)
    assert [photo["camera"] for photo in message["photos"]] == [OTHER_CAMERA, CAMERA]
    assert message["targets"] == ["base_color@Material", "roughness@Material"]
    assert message["seed"] == 5


def test_dry_run_prints_the_plan_and_writes_nothing(run: Run, folder: Path, scene: Path) -> None:
    before = listing(folder)
    plan = run("fit", scene, "--photo", photo_of(folder), "--fit", "world", "--output", folder / "o.blend", "--dry-run")
    assert plan.code == 0
    assert plan.err == ""
    assert f"{CAMERA}: {folder / 'photo=1 ö.png'}" in plan.out
    assert "world" in plan.out
    assert listing(folder) == before


def test_json_is_all_there_is_on_stdout(run: Run, folder: Path, scene: Path) -> None:
    done = run(
        "fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", folder / "o.blend",
        "--progress", "json", *QUICK,
    )  # fmt: skip
    messages = [json.loads(line) for line in done.out.splitlines()]
    progress = [message for message in messages if message["type"] == "progress"]
    assert progress
    assert [m["iteration"] for m in progress] == list(range(1, progress[-1]["iterations"] + 1))
    assert messages[-1]["type"] == "result"
    assert messages[-1]["exit_code"] == 0
    assert messages[-1]["photos"][0]["camera"] == CAMERA


def test_same_seed_same_result(run: Run, folder: Path, scene: Path) -> None:
    stored = []
    for name in ("a.blend", "b.blend"):
        out = folder / name
        assert run("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", out, *QUICK).code == 0
        bpy.ops.wm.open_mainfile(filepath=str(out))
        stored.append(_fitted_pixels())
    np.testing.assert_array_equal(stored[0], stored[1])


def _fitted_pixels() -> np.ndarray:
    nodes = bpy.data.materials["Material"].node_tree.nodes
    return image_pixels(nodes["Principled BSDF"].inputs["Base Color"].links[0].from_node.image.name)


def test_an_interrupted_fit_goes_on_to_the_same_end(run: Run, folder: Path, scene: Path) -> None:
    """Ctrl-C writes checkpoint and result, and --resume ends where an uninterrupted fit ends, to the last bit."""
    fit = ["fit", str(scene), "--photo", photo_of(folder), "--fit", "base_color", "--iterations", "40",
           "--resolution", "48", "--texture-size", "32", "--device", "cpu", "--progress", "json"]  # fmt: skip
    whole, part = folder / "whole.blend", folder / "part.blend"
    assert run(*fit, "--output", whole).code == 0

    with subprocess.Popen(
        [sys.executable, "-m", "likeness", *fit, "--output", str(part)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "progress" and message["iteration"] >= 22:
                process.send_signal(signal.SIGINT)
                break
        rest = [json.loads(line) for line in process.stdout]
        error = process.stderr.read()
    assert process.returncode == 130
    assert len(error.splitlines()) == 1
    assert "--resume" in error
    reached = next(message for message in rest if message["type"] == "result")
    assert reached["cancelled"]
    assert 22 <= reached["iterations"] < message["iterations"]
    assert part.is_file(), "what was reached is written"
    run_dir = folder / "part.likeness"
    assert (run_dir / "checkpoint.pt").is_file()

    resumed = run("fit", "--resume", run_dir)
    assert resumed.code == 0, resumed.err
    assert not run_dir.exists()
    stored = []
    for file in (whole, part):
        bpy.ops.wm.open_mainfile(filepath=str(file))
        stored.append(_fitted_pixels())
    np.testing.assert_array_equal(stored[0], stored[1])


def test_a_resumed_fit_keeps_its_settings(run: Run, folder: Path, scene: Path) -> None:
    kept = folder / "kept"
    begin = ("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", folder / "o.blend")
    assert run(*begin, *QUICK, "--run-dir", kept).code == 0
    assert (kept / "job.json").is_file(), "a run folder that was named stays"
    refused = run(*begin, "--seed", "3", "--resume", kept)
    assert refused.code == 2
    assert "--seed 3" in refused.error
    refused = run("fit", scene, "--fit", "lights", "--resume", kept)
    assert refused.code == 2
    assert "--fit lights" in refused.error


def test_render_writes_scene_linear_exr_and_displayed_png(run: Run, folder: Path) -> None:
    """A surface that sends out 0.18 is 0.18 in the EXR and, through AgX, 118 of 255 in the PNG, as Blender saves it."""

    def change(_scene: bpy.types.Scene) -> None:
        shader = bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"]
        for socket, value in (("Base Color", (0, 0, 0, 1)), ("Specular IOR Level", 0.0), ("Emission Strength", 1.0)):
            shader.inputs[socket].default_value = value
        shader.inputs["Emission Color"].default_value = (0.18, 0.18, 0.18, 1.0)
        bpy.context.scene.view_settings.view_transform = "AgX"

    scene = build_scene(folder / "glow.blend", change)
    common = ("render", scene, "--camera", CAMERA, "--samples", "1", "--direct-only", "--resolution", "64x40")
    for name in ("r.exr", "r.png"):
        done = run(*common, "--output", folder / name)
        assert done.code == 0, done.err
    shown = np.asarray(Image.open(folder / "r.png"))
    assert shown.shape == (40, 64, 3)
    assert shown[20, 32].tolist() == [118, 118, 118]
    image = bpy.data.images.load(str(folder / "r.exr"))
    assert tuple(image.size) == (64, 40)
    stored = np.empty(64 * 40 * 4, np.float32)
    image.pixels.foreach_get(stored)
    np.testing.assert_allclose(stored.reshape(40, 64, 4)[20, 32], (0.18, 0.18, 0.18, 1.0), atol=1e-5)


def test_check_names_what_is_not_supported(run: Run, folder: Path) -> None:
    def change(_scene: bpy.types.Scene) -> None:
        plug_noise("Roughness")

    found = run("check", build_scene(folder / "noise.blend", change))
    assert found.code == 0
    assert any('Material "Material"' in line and "Noise" in line for line in found.out.splitlines())
    assert any(line.startswith("supported") and 'Light "Light"' in line for line in found.out.splitlines())


def test_import_cameras(run: Run, folder: Path) -> None:
    matrix = np.eye(4)
    matrix[2, 3] = 4.0
    transforms = {
        "fl_x": 80.0, "fl_y": 80.0, "cx": 40.0, "cy": 27.0, "w": 96, "h": 54,
        "frames": [{"file_path": "photo=1 ö.png", "transform_matrix": matrix.tolist()}],
    }  # fmt: skip
    (folder / "transforms.json").write_text(json.dumps(transforms))
    (folder / "mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0.5\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n")
    out = folder / "imported.blend"
    done = run("import-cameras", folder / "transforms.json", "--mesh", folder / "mesh.obj", "--output", out)
    assert done.code == 0, done.err
    plan = run("fit", out, "--fit", "base_color", "--dry-run")
    assert plan.code == 0, plan.err
    assert "photo=1 ö" in plan.out
    assert bpy.context.scene.view_settings.view_transform == "Standard"
    assert bpy.data.objects["mesh"].data.vertices[2].co.z == pytest.approx(0.5), "z up as written"


def test_python_api(folder: Path, scene: Path) -> None:
    fit = likeness.fit(
        scene,
        photos={CAMERA: folder / "photo=1 ö.png"},
        fit=["base_color", "lights"],
        iterations=4,
        resolution=48,
        texture_size=32,
        device="cpu",
    )
    assert fit.result.photos[0].camera == CAMERA
    shader = bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"]
    assert not shader.inputs["Base Color"].is_linked, "nothing changes before apply"
    assert fit.apply() is fit
    assert shader.inputs["Base Color"].is_linked
    fit.save(folder / "saved.blend")
    assert (folder / "saved.blend").is_file()
    assert fit.report(folder / "page").is_file()


def test_console_script_and_module_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("likeness")
    for command in ([str(script)], [sys.executable, "-m", "likeness"]):
        said = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout == f"likeness {likeness.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["render", "--help"]])
def test_help(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 0
    assert "130 cancelled" in done.out


@pytest.mark.parametrize(
    ("text", "cameras", "wanted"),
    [
        ("Camera=a.png", ["Camera"], ("Camera", "a.png")),
        ("Camera=dir=x/a=b.png", ["Camera"], ("Camera", "dir=x/a=b.png")),
        ("A = B=a.png", ["A = B", "C"], ("A = B", "a.png")),
        ("A=B=a.png", ["A", "A=B"], ("A=B", "a.png")),
        ("日本 語=x y.png", ["日本 語"], ("日本 語", "x y.png")),
    ],
)
def test_camera_and_file_are_told_apart(text: str, cameras: list[str], wanted: tuple[str, str]) -> None:
    assert resolve_assignment(text, "--photo", cameras) == wanted


def test_among_several_readings_the_file_that_exists_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "B=a.png").write_bytes(b"")
    assert resolve_assignment("A=B=a.png", "--photo", ["A", "A=B"]) == ("A", "B=a.png")


def test_assignments_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="CAMERA=FILE"):
        resolve_assignment("a.png", "--photo", ["Camera"])
    with pytest.raises(SceneError, match='no camera "Kamera"'):
        resolve_assignment("Kamera=a.png", "--photo", ["Camera"])


# A Python as Blender's: bpy and numpy, nothing of the engine


@pytest.fixture(scope="module")
def blender_like_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has bpy, numpy and Likeness, but neither torch, Warp nor Pillow."""
    home = tmp_path_factory.mktemp("python") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    own = Path(np.__file__).parents[1]
    for package in ("numpy", "numpy.libs"):
        (site / package).symlink_to(own / package)
    # bpy.__file__ is that of a script inside the module
    (site / "bpy").symlink_to(Path(bpy.utils.resource_path("LOCAL")).parent)
    (site / "likeness").symlink_to(Path(likeness.__file__).parent)
    return home / "bin" / "python"


def _in_blender(python: Path, scene: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LIKENESS_PYTHON")}
    return subprocess.run(
        [str(python), "-m", "likeness", "fit", str(scene), "--photo", photo_of(folder), "--fit", "base_color",
         "--output", str(folder / "o.blend"), *QUICK],
        capture_output=True, text=True, check=False, env=clean | environment, cwd=folder,
    )  # fmt: skip


def test_without_the_engine(blender_like_python: Path, folder: Path, scene: Path) -> None:
    before = listing(folder)
    done = _in_blender(blender_like_python, scene, folder)
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "LIKENESS_PYTHON" in done.stderr
    assert listing(folder) == before


def test_with_the_engine_in_another_python(blender_like_python: Path, folder: Path, scene: Path) -> None:
    done = _in_blender(blender_like_python, scene, folder, LIKENESS_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "dB before" in done.stdout
    assert (folder / "o.blend").is_file()
