# SPDX-License-Identifier: GPL-3.0-or-later
"""One tree, two packages: what pip installs and what Blender installs hold everything and agree."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import pytest

import likeness

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text())
NOT_SHIPPED = ("tests/", "benchmarks/", "examples/", "docs/", "scripts/")


def tracked_files() -> list[str]:
    """Files that are, or are about to be, in the repository."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def shipped_files() -> list[str]:
    """Files of the product's folders."""
    return [name for name in tracked_files() if "/" in name and not name.startswith((".", *NOT_SHIPPED))]


def product_folders() -> set[str]:
    """Folders that hold modules of the product."""
    return {str(Path(name).parent) for name in shipped_files() if name.endswith(".py")}


def test_pip_gets_every_package() -> None:
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    assert listed == {"likeness", *(f"likeness.{folder.replace('/', '.')}" for folder in product_folders())}


def test_pip_gets_every_data_file(tmp_path: Path) -> None:
    """A wheel is built and compared with the tree."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    copy = tmp_path / "tree of any name"
    for name in tracked_files():
        if not name.startswith(NOT_SHIPPED):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*command, "--wheel-dir", str(tmp_path), "."], cwd=copy, check=True)
    (wheel,) = tmp_path.glob("likeness-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("likeness/") for name in archive.namelist()}
    assert {*shipped_files(), "__init__.py", "__main__.py", "api.py", "blender_manifest.toml"} <= held


def test_version_is_one() -> None:
    assert MANIFEST["version"] == likeness.__version__


def test_manifest_keeps_blenders_rules() -> None:
    assert MANIFEST["id"] == "likeness"
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    for text in (MANIFEST["tagline"], *MANIFEST["permissions"].values()):
        assert len(text) <= 64
        assert not text.endswith(".")


def test_extension_is_valid_and_complete(tmp_path: Path) -> None:
    """Blender's own tool validates the tree, builds the extension and validates that."""
    tool = [str(ROOT / "scripts" / "blender_ext.sh"), sys.executable]
    for step in (
        ["validate", str(ROOT)],
        ["build", "--source-dir", str(ROOT), "--output-dir", str(tmp_path)],
        ["validate", str(tmp_path / f"likeness-{likeness.__version__}.zip")],
    ):
        done = subprocess.run([*tool, *step], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(tmp_path / f"likeness-{likeness.__version__}.zip") as archive:
        held = set(archive.namelist())
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "engine/worker.py", "panels/sidebar.py"} <= held
    folders = {Path(name).parts[0] for name in held if "/" in name}
    assert folders == {folder.partition("/")[0] for folder in product_folders()}
    assert not [name for name in held if name.endswith((".pyc", ".blend", ".whl")) or "__pycache__" in name]


def test_every_dependency_is_pinned() -> None:
    pins = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), line
            pins[_plain(name)] = version
    wanted = [*(requires("likeness") or []), *PROJECT["project"]["dependencies"]]
    wanted += PROJECT["project"]["optional-dependencies"]["blender"]
    for requirement in wanted:
        assert _plain(re.split(r"[ <>=!~;\[]", requirement)[0]) in pins
    assert pins["torch"] == "2.13.0"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("module", ["torch", "warp", "bpy", "PIL", "OpenEXR", "PyOpenColorIO", "scipy", "numpy"])
def test_installed_as_pinned(module: str) -> None:
    assert find_spec(module) is not None
