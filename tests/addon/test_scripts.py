# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts of examples/scripts run as they are, each in its own process; docs/scripting.md lists every operator."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import bpy
import pytest
from PIL import Image

from likeness import properties, registration
from likeness.bridge.open_save import open_blend
from likeness.bridge.photo_list import add_photo
from tests.cli_scenes import image_pixels, save_photo

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "scripts"
GUIDE = ROOT / "docs" / "scripting.md"
QUICK = ("--iterations", "3", "--resolution", "32")


def _run(name: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=ROOT)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """The start-up scene, with quick settings and a photo in its list."""
    path = tmp_path / "set ü.blend"
    bpy.ops.wm.read_factory_settings()
    properties.ensure_registered()
    settings = bpy.context.scene.likeness
    settings.iterations, settings.resolution, settings.texture_size, settings.device = 3, 32, 16, "cpu"
    add_photo(bpy.context.scene, "Camera", str(save_photo(tmp_path / "Camera.png", (48, 27))))
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def _fitted_image(path: Path) -> str:
    """Name of the image at the base colour of the start-up scene's material."""
    open_blend(path)
    socket = bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Base Color"]
    return socket.links[0].from_node.image.name


def test_photo_to_material_with_operators(scene: Path, tmp_path: Path) -> None:
    """In the form that Blender sees: the script's arguments stand after "--"."""
    output = tmp_path / "fitted.blend"
    photo = save_photo(tmp_path / "other.png", (48, 27))
    arguments = (scene, "Camera", photo, output, "--material", "Material", "--fit", "base_color", *QUICK)
    done = _run("photo_to_material.py", "--background", "--", *arguments, "--texture-size", 16)
    assert re.search(r"Run 1: \d+\.\d dB before", done.stdout)
    assert len(set(image_pixels(_fitted_image(output)).tolist())) > 2
    assert bpy.context.scene.likeness.snapshot.showing == "AFTER"


def test_photo_to_material_with_the_api(scene: Path, tmp_path: Path) -> None:
    output, report = tmp_path / "fitted.blend", tmp_path / "report"
    arguments = (scene, "Camera", tmp_path / "Camera.png", output, "--report", report, *QUICK)
    done = _run("photo_to_material_api.py", *arguments, "--texture-size", 16, "--fit", "base_color@Material")
    assert re.search(r"Camera: \d+\.\d dB before", done.stdout)
    assert (report / "report.html").is_file()
    assert _fitted_image(output) == "Material base color"
    done = _run("photo_to_material_api.py", scene, "Nobody", tmp_path / "Camera.png", output, code=3)
    assert 'no camera "Nobody"' in done.stderr


def test_match_light(scene: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("Camera.png", "holiday.png"):
        Image.new("RGB", (48, 27), (200, 80, 20)).save(photos / name)
    output = tmp_path / "lit.blend"
    done = _run("match_light.py", scene, photos, output, "--no-world", *QUICK)
    assert "Left out holiday.png" in done.stderr
    assert done.stdout.count(" W, color ") == 1
    open_blend(output)
    assert bpy.data.lights["Light"].energy != pytest.approx(1000.0)
    assert not bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Base Color"].is_linked


def test_farm(scene: Path, tmp_path: Path) -> None:
    job, output = tmp_path / "job", tmp_path / "fitted.blend"
    _run("farm.py", "save", scene, job)
    (tmp_path / "Camera.png").unlink()  # the job holds a copy
    assert "Progress: 100%" in _run("farm.py", "compute", job).stdout
    assert "dB after" in _run("farm.py", "apply", scene, job, output).stdout
    assert _fitted_image(output) == "Material base color"
    assert len(bpy.context.scene.likeness.runs) == 1


def test_batch(scene: Path, tmp_path: Path) -> None:
    """A good file between two bad ones."""
    bpy.ops.wm.read_factory_settings()
    empty = tmp_path / "no photo.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(empty))
    output = tmp_path / "fitted"
    done = _run("batch.py", output, empty, scene, tmp_path / "gone.blend", code=2)
    rows = json.loads((output / "batch.json").read_text(encoding="utf-8"))
    assert [row["exit_code"] for row in rows] == [2, 0, 3]
    assert [Path(row["scene"]).name for row in rows] == ["no photo.blend", "set ü.blend", "gone.blend"]
    assert len(rows[1]["photos"]) == 1
    assert Path(rows[1]["report"]).is_file()
    assert "gone.blend" in done.stdout
    assert _fitted_image(output / "set ü.blend") == "Material base color"


def test_every_script_is_in_the_guide_and_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    guide = GUIDE.read_text(encoding="utf-8")
    for script in SCRIPTS.glob("[!_]*.py"):
        assert f"examples/scripts/{script.name}" in guide
        assert f'"{script.name}"' in here


def _default(prop: bpy.types.Property) -> str:
    if prop.type == "COLLECTION":
        return "[]"
    if getattr(prop, "is_array", False):
        return str(tuple(prop.default_array))
    if prop.type == "ENUM" and prop.is_enum_flag:
        return str(set(prop.default_flag))
    if prop.type == "FLOAT":
        return f"{prop.default:g}"
    return repr(prop.default).replace("'", '"')


def _choices(prop: bpy.types.Property) -> str:
    if prop.type != "ENUM":
        return ""
    others = [f"`{item.identifier}`" for item in prop.enum_items if item.identifier != prop.default]
    return f" (or {', '.join(others)})"


def _arguments(cls: type[bpy.types.Operator]) -> list[bpy.types.Property]:
    """What a script can give to an operator: all but what only a file dialog needs."""
    name = cls.bl_idname.removeprefix("likeness.")
    properties = getattr(bpy.ops.likeness, name).get_rna_type().properties
    return [prop for prop in properties if prop.identifier != "rna_type" and not prop.identifier.startswith("filter_")]


def operator_rows() -> dict[str, str]:
    """One row of the guide's table for each operator, from what is registered."""
    rows = {}
    for cls in registration.CLASSES:
        if not issubclass(cls, bpy.types.Operator):
            continue
        arguments = [f"`{prop.identifier}={_default(prop)}`{_choices(prop)}" for prop in _arguments(cls)]
        tooltip = " ".join((cls.__doc__ or "").split())
        rows[cls.bl_idname] = f"| `{cls.bl_idname}` | {', '.join(arguments) or '–'} | {tooltip} |"
    return rows


@pytest.mark.usefixtures("addon")
def test_the_guide_lists_every_operator_as_it_is() -> None:
    """What is missing is printed, ready to be put into the table."""
    guide = GUIDE.read_text(encoding="utf-8").splitlines()
    listed = [line for line in guide if line.startswith("| `likeness.")]
    rows = operator_rows()
    _print("Missing or changed rows of docs/scripting.md:", (row for row in rows.values() if row not in listed))
    _print("Rows that are out of date:", (row for row in listed if row not in rows.values()))
    assert sorted(listed) == sorted(rows.values()), "put the printed rows into the table of docs/scripting.md"


def _print(title: str, lines: Iterable[str]) -> None:
    print(title, *sorted(lines), sep=os.linesep)


@pytest.mark.usefixtures("addon")
def test_examples_in_the_guide_are_python_and_name_operators_that_exist() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    sources = [*blocks, *(script.read_text(encoding="utf-8") for script in SCRIPTS.glob("*.py"))]
    rows = operator_rows()
    for source in sources:
        ast.parse(source)
        for name in re.findall(r"bpy\.ops\.(likeness\.\w+)", source):
            assert name in rows, name


@pytest.mark.usefixtures("addon")
def test_every_argument_has_a_description() -> None:
    """They are what a script's author sees in Blender's own reference."""
    missing = []
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            file_dialog = ("filepath", "directory", "files")
            names = [prop.identifier for prop in _arguments(cls) if not prop.description]
            missing += [f"{cls.bl_idname}: {name}" for name in names if name not in file_dialog]
    assert not missing
