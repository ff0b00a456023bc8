# SPDX-License-Identifier: GPL-3.0-or-later
"""Making, testing and replacing the engine's own Python; run by environment_worker.py. Standard library only.

Everything is made in a folder of its own; the engine in use changes with the last step, which renames engine.json.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import environment
from .child import clean_environment
from .environment import Engine, Request
from .environment_lock import Pin, choose_wheels, read_lock, wheels_in
from .environment_pip import PipProgress, pip_error, run
from .errors import EngineMissingError, OutputError

# Where PyTorch keeps the builds that the package index does not hold, by system, machine and device.
TORCH_INDEX = {
    ("linux", "x86_64", "cpu"): "https://download.pytorch.org/whl/cpu",
    ("linux", "aarch64", "cpu"): "https://download.pytorch.org/whl/cpu",
    ("win32", "AMD64", "cuda"): "https://download.pytorch.org/whl/cu130",
}
# Room for an environment and for the downloads of its making.
SIZE = {"cpu": 2_500_000_000, "cuda": 12_000_000_000}
_BARE_ENVIRONMENT = 60_000_000  # a virtual environment with pip
_CHECK = Path(__file__).with_name("environment_check.py")

Stop = Callable[[], bool]
Report = Callable[[str, float], None]


def set_up(scratch: Path, request: Request, step: Report, stop: Stop) -> Engine:
    """Do what ``request`` asks for and return the engine that is in use then; for TEST the one that was tried.

    ``scratch`` is a folder for this run, in the folder of the engine. ``step`` gets a line for the artist and how far
    the work is, from 0 to 1; ``stop`` is asked some times a second. Raises a LikenessError, with nothing changed.
    """
    root = scratch.parent
    if request.source == "TEST":
        return _test(request.python, request, step, stop)
    with environment.locked(root):
        environment.remove_folders(environment.leftovers(root, keep=scratch))
        if request.source == "PYTHON":
            engine = _test(shutil.which(request.python) or request.python, request, step, stop)
            if Path(engine.python).is_relative_to(root):  # one that was set up here: it must not go as a leftover
                engine.python = Path(engine.python).relative_to(root).as_posix()
        else:
            engine = _make(root, request, step, stop)
        environment.write_engine(root, engine)
        step("Removing what is no longer needed", 1.0)
        environment.remove_folders(environment.leftovers(root, keep=scratch))
    return engine


def _make(root: Path, request: Request, step: Report, stop: Stop) -> Engine:
    """A new environment. Whatever goes wrong, nothing is left of it."""
    plan = _plan(root, request, stop)
    folder = root / f"engine-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        step("Making an environment", 0.0)
        _make_environment(root, folder, stop)
        _Installer(python, folder / "tmp", request, step, stop).install(plan)
        engine = _test(str(python), request, step, stop)
    except BaseException:
        step("Removing what was begun", 0.0)
        environment.remove_folders([folder])
        raise
    engine.python = python.relative_to(root).as_posix()
    engine.lock = environment.lock_digest(Path(request.lock_folder), environment.this_python())
    engine.unlocked = plan.unlocked
    engine.size = environment.size_of(folder)
    return engine


@dataclass
class _Plan:
    """What pip is to install: ``lines`` with hashes, and where torch comes from elsewhere, ``torch`` without."""

    lines: list[str]
    unlocked: list[str]  # packages whose file the lock does not know
    torch: str = ""
    torch_index: str = ""
    torch_brings_cuda: bool = False  # by packages of its own, which only its own index knows


def _plan(root: Path, request: Request, stop: Stop) -> _Plan:
    locks = Path(request.lock_folder)
    pins = read_lock(locks, cuda=False)
    cuda_pins = read_lock(locks, cuda=True)[len(pins) :]
    if request.source == "WHEELS":
        folder = Path(request.directory)
        wheels = wheels_in(folder)
        held = {wheel.name for wheel in wheels}
        if request.device == "cuda" or (request.device == "auto" and any(pin.name in held for pin in cuda_pins)):
            pins += cuda_pins
        chosen = choose_wheels(pins, wheels, request.trust, folder)
        size = sum(max(wheel.size() for wheel in mine) for _, mine in chosen)
        environment.require_room(root, request.size or size + _BARE_ENVIRONMENT)
        found = [Pin(pin.name, pin.version, {wheel.digest() for wheel in mine}) for pin, mine in chosen]
        unlocked = [pin.name for pin, (locked, _) in zip(found, chosen, strict=True) if pin.hashes - locked.hashes]
        return _Plan([pin.line() for pin in found], unlocked)
    device = request.device
    if device == "auto":
        device = "cuda" if _has_nvidia(stop) else "cpu"
    environment.require_room(root, request.size or SIZE[device])
    index = request.torch_index_url or TORCH_INDEX.get((sys.platform, platform.machine(), device), "")
    torch = next((pin for pin in pins if pin.name == "torch"), None)
    if not index or torch is None:
        return _Plan([pin.line() for pin in (pins + cuda_pins if device == "cuda" else pins)], [])
    lines = [pin.line() for pin in pins if pin is not torch]
    return _Plan(lines, ["torch"], f"torch=={torch.version}", index, device == "cuda")


def _has_nvidia(stop: Stop) -> bool:
    program = shutil.which("nvidia-smi")
    if program is None or sys.platform == "darwin":
        return False
    try:
        return run([program, "-L"], os.environ, stop)[0] == 0
    except OSError:
        return False


def _make_environment(root: Path, folder: Path, stop: Stop) -> None:
    # in a process of its own, which can be stopped at once
    code, lines = run([sys.executable, "-I", "-m", "venv", str(folder)], clean_environment(), stop)
    if code == 0:
        return
    # ensurepip does not say why it failed
    if shutil.disk_usage(root).free < 1 << 20 or "No space left" in " ".join(lines):
        raise OutputError(
            f'The disk that holds "{root}" became full; nothing has changed. Free some space and try again.'
        )
    last = lines[-1].strip() if lines else "it said nothing"
    raise EngineMissingError(f'Blender\'s Python "{sys.executable}" could not make an environment: {last}')


@dataclass
class _Installer:
    """pip of the new environment; it checks each hash itself."""

    python: Path
    temporary: Path
    request: Request
    step: Report
    stop: Stop

    def install(self, plan: _Plan) -> None:
        """Install everything. Raises EngineMissingError, OutputError, CancelledError."""
        request = self.request
        self.temporary.mkdir()
        verb = "Downloading" if request.source == "ONLINE" else "Reading"
        progress = PipProgress(len(plan.lines) + bool(plan.torch), self.temporary, verb, self._show)
        if plan.torch:
            deps = [] if plan.torch_brings_cuda else ["--no-deps"]
            self._pip(progress, [*deps, "--index-url", plan.torch_index, plan.torch], _shown(plan.torch_index))
        if request.source == "WHEELS":
            where, said = ["--no-index", "--find-links", request.directory], f'The folder "{request.directory}"'
        else:
            where = ["--index-url", request.index_url] if request.index_url else []
            said = _shown(request.index_url) or "The package index"
        listed = self.temporary / "packages.txt"
        listed.write_text("\n".join(plan.lines), encoding="utf-8")
        self._pip(progress, [*where, "--no-deps", "--require-hashes", "-r", str(listed)], said)
        environment.remove_folders([self.temporary])

    def _show(self, text: str, part: float) -> None:
        self.step(text, 0.05 + 0.75 * min(part, 1.0))

    def _pip(self, progress: PipProgress, options: list[str], where: str) -> None:
        own = ["--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
        own += ["--progress-bar", "off", "--retries", "2", "--timeout", "20"]
        # downloads lie beside the environment, on the disk whose room was looked at, and go with it
        place = str(self.temporary)
        surroundings = clean_environment(TMPDIR=place, TEMP=place, TMP=place, PIP_USER="0")
        if self.request.proxy:
            surroundings["PIP_PROXY"] = self.request.proxy  # may hold a password, and anybody sees a command line
        if self.request.source == "WHEELS":  # this folder and nothing else, whatever pip is used to
            surroundings = {key: value for key, value in surroundings.items() if not key.startswith("PIP_")}
            surroundings["PIP_CONFIG_FILE"] = os.devnull
        command = [str(self.python), "-m", "pip", "install", *own, *options]
        code, lines = run(command, surroundings, self.stop, progress.line, progress.wait)
        if code != 0:
            raise pip_error(lines, where)


def _test(python: str, request: Request, step: Report, stop: Stop) -> Engine:
    """Try a Python: does it run, has it everything, do kernels run? Raises EngineMissingError by name."""
    step("Testing the engine", 0.95)
    modules = request.modules
    names = [json.dumps([module.name for module in modules]), json.dumps([module.package for module in modules])]
    try:
        code, lines = run([python, str(_CHECK), *names], clean_environment(), stop)
    except OSError as error:
        raise EngineMissingError(f'"{python}" cannot be started ({error.strerror}); choose a Python.') from error
    try:
        found = json.loads(lines[-1]) if code == 0 else None
    except (IndexError, ValueError):
        found = None
    if not isinstance(found, dict):
        last = lines[-1].strip() if lines else "it said nothing"
        raise EngineMissingError(f'"{python}" is not a Python of version 3.11 or later that runs: {last}')
    _require_all(python, found, request)
    if request.device == "cuda" and found["device"] != "cuda":
        raise EngineMissingError(
            f'CUDA was chosen, but torch and Warp of "{python}" find no NVIDIA card that they can use; update the '
            "card's driver, or choose CPU."
        )
    return Engine(
        source=request.source,
        python=python,
        python_version=found["python"],
        device="cpu" if request.device == "cpu" else found["device"],
        versions=found["versions"],
        made=time.strftime("%Y-%m-%d %H:%M"),
        request=_remembered(request),
    )


def _remembered(request: Request) -> dict[str, Any]:
    """What Repair needs; lock and modules are those of the Likeness that repairs, addresses are in the preferences."""
    kept = ("source", "directory", "python", "device", "trust")
    return {key: value for key, value in asdict(request).items() if key in kept}


def _shown(address: str) -> str:
    """An address without user and password."""
    return re.sub(r"//[^/@]*@", "//", address)


def _require_all(python: str, found: dict[str, Any], request: Request) -> None:
    if _numbers(found["python"]) < (3, 11):
        raise EngineMissingError(f'"{python}" is Python {found["python"]}; the engine needs 3.11 or later.')
    packages = {module.name: module for module in request.modules}
    if found["broken"]:
        listed = "; ".join(f"{packages[name].package} ({why})" for name, why in found["broken"].items())
        raise EngineMissingError(f'The Python "{python}" cannot run the engine, it lacks or cannot load {listed}.')
    old = [
        f"{module.package} {found['versions'][module.package]} (at least {module.minimum})"
        for module in request.modules
        if _numbers(found["versions"][module.package]) < _numbers(module.minimum)
    ]
    if old:
        raise EngineMissingError(f'The packages of "{python}" are too old for the engine: {", ".join(old)}.')


def _numbers(version: str) -> tuple[int, ...]:
    """2.13.0+cpu as (2, 13, 0)."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
