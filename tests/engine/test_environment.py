# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up of the engine's own Python: real environments, real pip, a package of a few bytes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from likeness.engine import environment, environment_client
from likeness.engine.environment import LOCK_FOLDER, MODULES, Engine, Request
from likeness.engine.environment_client import SetUp, Step
from likeness.engine.errors import CancelledError, EngineMissingError, LikenessError, OutputError, UsageError
from tests.tiny_wheels import build_index, build_lock, build_wheel, request_wheels

ROOT = Path(__file__).parents[2]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with one wheel, and an awkward name."""
    return build_wheel(tmp_path / "Räder = 1").parent


@pytest.fixture
def lock(tmp_path: Path, wheels: Path) -> Path:
    """The lock that knows it."""
    return build_lock(tmp_path / "lock", *wheels.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of an engine that works: what no failure may change."""
    return with_old_engine(tmp_path / "engine ä")


def with_old_engine(root: Path) -> Path:
    python = root / "engine-old" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    environment.write_engine(root, Engine("WHEELS", "engine-old/bin/python", "3.11.7"))
    return root


def assert_old_engine(root: Path) -> None:
    """engine.json and its Python are as before, and nothing else is there but messages and logs."""
    assert environment.state_of(root).kind == "READY"
    engine = environment.read_engine(root)
    assert engine is not None
    assert engine.python == "engine-old/bin/python"
    assert [path.name for path in root.glob("engine-*")] == ["engine-old"]


@pytest.fixture
def read_only_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Likeness runs from where it cannot be written to, not even by root."""
    place = tmp_path / "read only"
    place.mkdir()
    if subprocess.run(["mount", "--bind", str(ROOT), str(place)], capture_output=True, check=False).returncode != 0:
        yield  # not root: the tree as it is
        return
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
    monkeypatch.setattr(environment_client, "_WORKER", place / "engine" / "environment_worker.py")
    yield
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def set_up(root: Path, request: Request, host: str = sys.executable) -> tuple[Engine, list[Step]]:
    """Run a set-up to its end."""
    work = SetUp(root, request, host)
    try:
        steps = list(work.wait(0.02))
    finally:
        work.close()
    assert work.engine is not None
    return work.engine, steps


def run_until(work: SetUp, text: str) -> None:
    """Wait for a step."""
    for step in work.wait(0.01):
        if text in step.text:
            return


def pieces_of(folder: Path) -> list[str]:
    """Commands of processes that work below ``folder``."""
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(folder) in line]


def test_from_an_index_then_remove(
    root: Path, tmp_path: Path, wheels: Path, lock: Path, read_only_worker: None
) -> None:
    """The whole life of an engine."""
    request = request_wheels(wheels, lock)
    request.source, request.index_url = "ONLINE", build_index(tmp_path / "index", *wheels.iterdir())
    engine, steps = set_up(root, request)
    assert engine.versions == {"tiny": "1.0"}
    assert engine.unlocked == []
    assert [step.text for step in steps][1:3] == ["Downloading tiny, 1 of 1", "Installing 1 package"]
    factors = [step.factor for step in steps]
    assert factors == sorted(factors)
    python = environment.python_of(root, engine)
    told = [python, "-c", "import tiny; print(tiny.__file__)"]
    said = subprocess.run(told, capture_output=True, text=True, check=True)
    assert Path(said.stdout.strip()).is_relative_to(root)
    assert [path.name for path in root.glob("engine-*")] == [Path(engine.python).parts[0]], "the old one is gone"
    assert not (python.parents[1] / "tmp").exists()
    assert engine.size == environment.size_of(python.parents[1]) > 1_000_000
    assert Request(**engine.request, lock_folder=str(lock), modules=request.modules) == replace(request, index_url="")

    # chosen as an existing Python it is not a leftover
    kept, _ = set_up(root, Request("PYTHON", python=str(python), modules=request.modules))
    assert kept.python == engine.python
    assert python.is_file()
    environment.write_engine(root, engine)

    # made with a lock that is not Likeness's own
    assert environment.state_of(root).kind == "OTHER_VERSION"
    assert "Repair" in environment.state_of(root).text

    environment.remove(root)
    assert environment.state_of(root).kind == "NONE"
    assert [path.name for path in root.iterdir()] == ["engine.lock"]


def test_a_file_that_the_lock_does_not_know_is_refused_by_name(root: Path, wheels: Path, lock: Path) -> None:
    build_wheel(wheels, code="print('not the same')\n")
    with pytest.raises(EngineMissingError, match=r"tiny-1\.0-py3-none-any\.whl.*Trust"):
        set_up(root, request_wheels(wheels, lock))
    assert_old_engine(root)


def test_missing_wheels_are_named(root: Path, wheels: Path, lock: Path) -> None:
    build_lock(lock, *wheels.iterdir(), more='other==2.0 --hash=sha256:00\nwindows==1 ; sys_platform == "nothing"\n')
    with pytest.raises(EngineMissingError, match=r"no wheel of other 2\.0 for Python 3"):
        set_up(root, request_wheels(wheels, lock))
    build_wheel(wheels, "other", version="3.0")
    with pytest.raises(EngineMissingError, match=r"no wheel of other 2\.0 for Python 3"):
        set_up(root, request_wheels(wheels, lock))
    assert_old_engine(root)


def test_no_folder_of_wheels(root: Path, tmp_path: Path, lock: Path) -> None:
    for folder in (tmp_path / "gone", lock):
        with pytest.raises(UsageError, match=folder.name):
            set_up(root, request_wheels(folder, lock))
    assert_old_engine(root)


def test_what_an_index_has_is_checked(root: Path, tmp_path: Path, wheels: Path, lock: Path) -> None:
    """pip refuses a file with another hash, and Likeness says which."""
    changed = build_wheel(tmp_path / "changed", code="print('not the same')\n")
    request = replace(request_wheels(wheels, lock), source="ONLINE", index_url=build_index(tmp_path / "index", changed))
    with pytest.raises(EngineMissingError, match=r"tiny from file.*is not the file that Likeness was tested with"):
        set_up(root, request)
    assert_old_engine(root)


def test_trusted_wheels_that_do_not_work(root: Path, wheels: Path, lock: Path) -> None:
    """The lock does not know the file: installed at the artist's word, and found to be broken."""
    build_wheel(wheels, code="raise OSError('its library is not there')\n")
    with pytest.raises(EngineMissingError, match=r"tiny.*its library is not there"):
        set_up(root, request_wheels(wheels, lock, trust=True))
    assert_old_engine(root)


def test_cancel_takes_less_than_a_second(root: Path, wheels: Path, lock: Path) -> None:
    work = SetUp(root, request_wheels(wheels, lock))
    run_until(work, "Making")
    time.sleep(0.5)  # ensurepip is at work
    begun = time.monotonic()
    work.cancel()
    with pytest.raises(CancelledError, match="nothing has changed"):
        list(work.wait(0.01))
    assert time.monotonic() - begun < 1.0
    work.close()
    assert not pieces_of(root)
    assert_old_engine(root)


def test_killed_in_the_middle(root: Path, wheels: Path, lock: Path) -> None:
    work = SetUp(root, request_wheels(wheels, lock))
    run_until(work, "Making")
    while len(list(root.glob("engine-*"))) < 2:
        time.sleep(0.02)
    with pytest.raises(EngineMissingError, match="Another Blender"):
        set_up(root, request_wheels(wheels, lock))
    assert_unlocked_after_kill(work, root)
    with pytest.raises(EngineMissingError, match="stopped with code"):
        list(work.wait())
    work.close()
    assert environment.leftovers(root)
    environment.clean(root)  # as Blender does when it starts
    assert_old_engine(root)


def assert_unlocked_after_kill(work: SetUp, root: Path) -> None:
    process = work._child.process
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for child in children.split():  # what a shutdown of the machine would end as well
        os.kill(int(child), signal.SIGKILL)
    with environment.locked(root):
        pass


def test_the_parent_dies(root: Path, wheels: Path, lock: Path) -> None:
    work = SetUp(root, request_wheels(wheels, lock))
    run_until(work, "Making")
    assert work._child.process.stdin is not None
    work._child.process.stdin.close()  # as the system does
    work._child.process.wait(10.0)
    work.close()
    assert not pieces_of(root)
    assert_old_engine(root)


def test_too_little_room_is_known_before(full_disk: Path, wheels: Path, lock: Path) -> None:
    root = with_old_engine(full_disk)
    with pytest.raises(OutputError, match=r"needs 2\.5 GB on the disk .* 0\.0 GB are free"):
        set_up(root, Request("ONLINE", device="cpu", lock_folder=str(lock)))
    assert_old_engine(root)


def test_disk_full_in_the_middle(full_disk: Path, wheels: Path, lock: Path) -> None:
    root = with_old_engine(full_disk)
    with pytest.raises(OutputError, match="full"):
        set_up(root, replace(request_wheels(wheels, lock), size=1))
    assert_old_engine(root)


def test_an_existing_python_without_the_engine(root: Path) -> None:
    bare = Path(sys.base_prefix) / "bin" / "python3"
    with pytest.raises(EngineMissingError, match=r"cannot run the engine.*torch.*warp-lang"):
        set_up(root, Request("PYTHON", python=str(bare)))
    assert_old_engine(root)


@pytest.mark.parametrize("content", [None, "#!/bin/sh\necho no Python\n", "no program"])
def test_an_existing_python_that_is_none(root: Path, tmp_path: Path, content: str | None) -> None:
    program = tmp_path / "pythön"
    if content is not None:
        program.write_text(content)
        program.chmod(0o755)
    with pytest.raises(EngineMissingError, match="pythön"):
        set_up(root, Request("PYTHON", python=str(program)))
    assert_old_engine(root)


def test_an_existing_python_with_old_packages(root: Path, wheels: Path) -> None:
    newer = [replace(module, minimum="999") for module in MODULES if module.name == "numpy"]
    with pytest.raises(EngineMissingError, match=r"numpy 1\.26\.\d \(at least 999\)"):
        set_up(root, Request("PYTHON", python=sys.executable, modules=newer))
    assert_old_engine(root)


def test_an_existing_python_with_the_engine(root: Path) -> None:
    """The Python of these tests, with torch, Warp and a kernel."""
    engine, _ = set_up(root, Request("PYTHON", python=sys.executable, device="cpu"))
    assert set(engine.versions) == {module.package for module in MODULES}
    assert environment.python_of(root, engine) == Path(sys.executable)
    assert environment.state_of(root).text == f"Ready: torch {engine.versions['torch']} (CPU)"
    assert not list(root.glob("engine-*"))
    environment.remove(root)
    assert Path(sys.executable).is_file()


def test_a_python_that_cannot_make_environments(root: Path, tmp_path: Path, wheels: Path, lock: Path) -> None:
    """As Debian's without python3-venv."""
    python = tmp_path / "python"
    hide = (
        "import importlib.util as util, sys; find = util.find_spec; "
        'util.find_spec = lambda name: None if name == "ensurepip" else find(name); '
        "exec(sys.argv[-1])"
    )
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{hide}' \"$@\"\n")
    python.chmod(0o755)
    with pytest.raises(EngineMissingError, match=r"no ensurepip; install .* python3-venv"):
        set_up(root, request_wheels(wheels, lock), str(python))
    with pytest.raises(EngineMissingError, match="is not a Python"):
        set_up(root, request_wheels(wheels, lock), shutil.which("false") or "false")
    assert_old_engine(root)


def test_no_lock_for_this_python(root: Path, tmp_path: Path, wheels: Path) -> None:
    (tmp_path / "requirements-2.99.lock").write_text("")
    with pytest.raises(EngineMissingError, match=r"for Python 2\.99, and this is Python 3"):
        set_up(root, request_wheels(wheels, tmp_path))
    assert_old_engine(root)


def test_a_damaged_entry_is_said_and_replaced(root: Path, wheels: Path, lock: Path) -> None:
    for content in ("", "[]", '{"likeness": 0}', '{"likeness": 1, "source": "ONLINE"}'):
        (root / environment.POINTER).write_text(content)
        assert environment.state_of(root).kind == "BROKEN"
        with pytest.raises(LikenessError, match="damaged"):
            environment.read_engine(root)
        environment.clean(root)
        assert (root / "engine-old").is_dir()  # it may be the engine


def test_an_engine_whose_python_is_gone(root: Path) -> None:
    shutil.rmtree(root / "engine-old")
    assert environment.state_of(root).kind == "BROKEN"


def test_minimum_versions_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {}
    for requirement in map(Requirement, project["dependencies"]):
        wanted[requirement.name] = {part.version for part in requirement.specifier if part.operator == ">="}
    del wanted["embreex"]  # optional
    assert {module.package: {module.minimum} for module in MODULES} == wanted


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_the_lock_is_pinned_and_hashed(python: str) -> None:
    pinned = dict(line.partition("==")[::2] for line in (ROOT / "requirements.lock").read_text().splitlines())
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    names = set()
    for file in environment.lock_files(LOCK_FOLDER, python):
        entries = [entry for entry in re.split(r"\n(?! )", file.read_text().strip()) if not entry.startswith("#")]
        for entry in entries:
            match = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)( ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)", entry)
            assert match, entry
            names.add(match[1])
            if not (match[1] == "numpy" and python == "3.13"):
                assert plain.get(match[1], match[2]) == match[2]
    assert {re.sub(r"[-_.]+", "-", module.package).lower() for module in MODULES} < names
