# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls of the house, read from the sources: who may import Blender, who may touch its data, who only draws."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLENDER = {"bpy", "bmesh", "mathutils", "gpu", "bpy_extras", "blf", "idprop"}
# Rooms, and what else may import Blender: what it stores, its preferences, its buttons, and the list of all that.
ROOMS = ("bridge", "cli", "engine", "operators", "panels", "properties")
MAY_IMPORT_BLENDER = ("bridge/", "operators/", "panels/", "properties/", "preferences.py", "registration.py")
# A room may import only what stands below it.
BELOW = {
    "engine": {"engine"},
    "bridge": {"bridge", "engine", "properties"},
    "cli": {"cli", "api", "bridge", "engine", "__version__"},
    "panels": {"panels"},
    "properties": {"properties", "bridge"},
    "operators": {"operators", "api", "bridge", "engine", "preferences"},
}


def sources() -> list[Path]:
    """Every module of the product."""
    return sorted([*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))])


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from run_time_nodes(node)


def absolute_imports(file: Path) -> set[str]:
    """Top-level names of packages that a module imports at run time, anywhere in it."""
    found: set[str] = set()
    for node in run_time_nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def own_imports(file: Path) -> set[str]:
    """Rooms and root modules of the package that a module imports."""
    parents = file.relative_to(ROOT).parts[:-1]
    found: set[str] = set()
    for node in run_time_nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parents[: len(parents) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found.update((*base, *name.split("."))[0] for name in names)
    return found


def test_there_is_something_to_check() -> None:
    assert {room for room in ROOMS if any(name_of(file).startswith(room + "/") for file in sources())} == set(ROOMS)
    assert absolute_imports(ROOT / "bridge" / "read_scene.py") >= {"bpy"}
    assert own_imports(ROOT / "bridge" / "read_scene.py") >= {"bridge", "engine"}


def offenders(find: Callable[[Path], Iterable[str]], files: Iterable[Path]) -> dict[str, list[str]]:
    """What ``find`` finds, by file; nothing where all is well."""
    found = {name_of(file): sorted(find(file)) for file in files}
    return {name: things for name, things in found.items() if things}


def outside(*rooms: str) -> list[Path]:
    return [file for file in sources() if not name_of(file).startswith(rooms)]


def test_only_some_import_blender() -> None:
    assert not offenders(lambda file: absolute_imports(file) & BLENDER, outside(*MAY_IMPORT_BLENDER))


def test_imports_inside_the_package_are_relative() -> None:
    """Inside Blender the package has another name."""
    own = {*ROOMS, "api", "properties", "preferences", "registration", "likeness"}
    assert not offenders(lambda file: absolute_imports(file) & own, sources())


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_only_what_is_below(room: str) -> None:
    files = [file for file in sources() if name_of(file).startswith(room + "/")]
    assert not offenders(lambda file: own_imports(file) - BELOW[room], files)


def attribute_chains(file: Path) -> Iterator[str]:
    """Every dotted name in a module: "bpy.data.images"."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def chains_that_begin(*beginnings: str) -> Callable[[Path], list[str]]:
    return lambda file: [chain for chain in attribute_chains(file) if chain.startswith(beginnings)]


def test_only_the_bridge_touches_blenders_data() -> None:
    assert not offenders(chains_that_begin("bpy.data", "context.blend_data"), outside("bridge/"))


def written_attributes(file: Path) -> Iterator[str]:
    """Every attribute that a module assigns to."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield ast.unparse(node)


def test_panels_only_draw() -> None:
    """They call no operator and set nothing but what belongs to the layout and its buttons."""
    panels = sorted((ROOT / "panels").glob("*.py"))
    layout = re.compile(r"(self\.layout|row|column|box|button)\.\w+|\w+\.operator\(.*\)\.\w+")
    assert not offenders(chains_that_begin("bpy.ops"), panels)
    assert not offenders(lambda file: [w for w in written_attributes(file) if not layout.fullmatch(w)], panels)


def test_no_path_is_bent() -> None:
    """Blender's process has one sys.path for all add-ons; only the worker, a process of its own, mends its own."""
    assert not offenders(chains_that_begin("sys.path"), outside("engine/worker.py"))


def test_every_file_names_its_licence() -> None:
    licence = "# SPDX-License-Identifier: GPL-3.0-or-later\n"
    assert [name_of(file) for file in sources() if not file.read_text(encoding="utf-8").startswith(licence)] == []


def test_package_and_engine_load_without_blender() -> None:
    """Not read but run: a Python in which bpy cannot be imported."""
    program = (
        "import sys\nsys.modules['bpy'] = None\n"
        "import likeness, likeness.engine.scene, likeness.engine.fit, likeness.engine.render, likeness.cli\n"
        "print(likeness.fit.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "fit\n", done.stderr


def test_what_blender_loads_needs_nothing_but_what_blender_has() -> None:
    """register() and all it imports, in a Python without the engine's packages."""
    blocked = ["torch", "warp", "PIL", "scipy", "OpenEXR", "PyOpenColorIO"]
    program = (
        f"import sys\nsys.modules.update(dict.fromkeys({blocked!r}))\n"
        "import bpy, likeness\nlikeness.register()\nlikeness.unregister()\nprint('fine')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["fine"], done.stderr
