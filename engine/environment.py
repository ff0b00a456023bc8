# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine's own Python lives, and what is known of it. Standard library only.

::

    engine.json       the engine in use (Engine); written last, by a rename
    engine-<id>/      a virtual environment. What engine.json does not name is a leftover
    engine.lock       held by whoever changes something here
    setup-<id>/       request, messages and log of one run of environment_worker.py

Virtual environments cannot be moved, so each is made in a folder of its own name, and engine.json alone decides which
one counts: whatever happens before it is replaced leaves the engine of before at work.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from .errors import EngineMissingError, OutputError
from .files import require_folder, write_atomic

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FORMAT = 1
LOCK_FOLDER = Path(__file__).parent
POINTER = "engine.json"

Source = Literal["ONLINE", "WHEELS", "PYTHON", "TEST"]


@dataclass
class Module:
    """A module that the engine imports, the package that brings it, and the oldest version that will do."""

    name: str
    package: str
    minimum: str


# As in pyproject.toml, less what is optional. A test compares the two.
MODULES = (
    Module("numpy", "numpy", "1.26"),
    Module("torch", "torch", "2.8"),
    Module("warp", "warp-lang", "1.19"),
    Module("PIL", "pillow", "11"),
    Module("OpenEXR", "OpenEXR", "3.3"),
    Module("PyOpenColorIO", "opencolorio", "2.4"),
    Module("scipy", "scipy", "1.13"),
)


@dataclass
class Request:
    """What is to be set up.

    ONLINE takes packages from the index, WHEELS from the folder ``directory``; PYTHON uses the interpreter ``python``
    as it is; TEST tries that one and changes nothing. ``trust``: wheels of ``directory`` need not be those of the lock.
    Empty addresses are pip's and PyTorch's own. ``size`` is the room that is needed on the disk, 0: as known.
    """

    source: Source
    directory: str = ""
    python: str = ""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust: bool = False
    index_url: str = ""
    torch_index_url: str = ""
    proxy: str = ""
    lock_folder: str = field(default_factory=lambda: str(LOCK_FOLDER))
    modules: list[Module] = field(default_factory=lambda: list(MODULES))
    size: int = 0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Request:
        """Rebuild what ``asdict`` wrote."""
        modules = [Module(**module) for module in data.pop("modules", [])]
        return cls(modules=modules, **data)


@dataclass
class Engine:
    """The engine in use, as engine.json holds it. ``python`` is relative to the folder where it lies below it."""

    source: Source
    python: str
    python_version: str = ""
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=dict)
    unlocked: list[str] = field(default_factory=list)  # packages whose file the lock does not know
    lock: str = ""  # digest of the lock; empty for an existing Python
    size: int = 0  # bytes
    made: str = ""
    request: dict[str, Any] = field(default_factory=dict)


def read_engine(root: Path) -> Engine | None:
    """The engine in use, or None where none was set up. Raises EngineMissingError where its file is damaged."""
    try:
        data = json.loads((root / POINTER).read_bytes())
        if data.pop("likeness") != FORMAT:
            raise ValueError("another format")
        return Engine(**{key: value for key, value in data.items() if key in {f.name for f in fields(Engine)}})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineMissingError(f'"{root / POINTER}" is damaged; set the engine up anew.') from error


def write_engine(root: Path, engine: Engine) -> None:
    """Make ``engine`` the one in use, in one step. Raises OutputError."""
    write_atomic(root / POINTER, json.dumps({"likeness": FORMAT, **asdict(engine)}, ensure_ascii=False, indent=1))


def python_of(root: Path, engine: Engine) -> Path:
    """The interpreter of an engine."""
    return root / engine.python


def lock_files(folder: Path, python: str) -> tuple[Path, Path]:
    """The lock for Python ``python`` ("3.11"), and what the CUDA build of torch needs besides."""
    return folder / f"requirements-{python}.lock", folder / f"requirements-{python}-cuda.lock"


def lock_digest(folder: Path, python: str) -> str:
    """What changes whenever the lock does; empty where there is none for this Python."""
    digest = hashlib.sha256()
    for file in lock_files(folder, python):
        if not file.is_file():
            return ""
        digest.update(file.read_bytes())
    return digest.hexdigest()


def this_python() -> str:
    """ "3.11": the Python of this process, for which environments are made."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass
class State:
    """What an artist should know of the engine."""

    kind: Literal["NONE", "READY", "OTHER_VERSION", "BROKEN"]
    text: str
    engine: Engine | None = None


def state_of(root: Path) -> State:
    """The engine that was set up below ``root``. Reads one small file and starts nothing."""
    try:
        engine = read_engine(root)
    except EngineMissingError as error:
        return State("BROKEN", str(error))
    if engine is None:
        return State("NONE", "No engine yet")
    if not python_of(root, engine).is_file():
        return State("BROKEN", f'Its Python "{python_of(root, engine)}" is gone: Repair, or set it up anew', engine)
    if engine.lock and engine.lock != lock_digest(LOCK_FOLDER, ".".join(engine.python_version.split(".")[:2])):
        return State("OTHER_VERSION", "The engine is of another version of Likeness: Repair", engine)
    torch = engine.versions.get("torch", "")
    return State("READY", f"Ready{f': torch {torch}' if torch else ''} ({engine.device.upper()})", engine)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold ``root`` against other processes; ends with the process, however it ends.

    Raises:
        EngineMissingError: another process holds it.
        OutputError: ``root`` cannot be written.
    """
    require_folder(root, create=True)
    with open(root / "engine.lock", "ab") as file:
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EngineMissingError(
                f'Another Blender is changing the engine in "{root}"; wait until it is done, or close it.'
            ) from error
        yield


def leftovers(root: Path, keep: Path | None = None) -> list[Path]:
    """Folders of set-ups that did not end, and of engines that were replaced. None where engine.json is damaged: one
    of them may be the engine."""
    try:
        engine = read_engine(root)
    except EngineMissingError:
        return []
    used = {"" if engine is None else Path(engine.python).parts[0], "" if keep is None else keep.name}
    found = [*root.glob("engine-*"), *root.glob("setup-*")]
    return sorted(folder for folder in found if folder.is_dir() and folder.name not in used)


def clean(root: Path) -> None:
    """Remove leftovers, unless another process is at work. Never raises: what cannot go now goes next time."""
    if leftovers(root):
        with suppress(EngineMissingError, OutputError), locked(root):
            remove_folders(leftovers(root))


def remove(root: Path) -> None:
    """Take the engine away: first its entry, then its files. An existing Python that was chosen stays as it is.

    Raises:
        EngineMissingError: a set-up is running.
        OutputError: the entry cannot be removed.
    """
    with locked(root):
        try:
            (root / POINTER).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f'"{root / POINTER}" cannot be removed: {error.strerror}.') from error
        remove_folders(leftovers(root))


def remove_folders(folders: list[Path]) -> None:
    """Delete as much as can be deleted."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def require_room(root: Path, size: int) -> None:
    """Make sure that ``size`` bytes fit on the disk that holds ``root``. Raises OutputError with both numbers."""
    free = shutil.disk_usage(root).free
    if free < size:
        raise OutputError(
            f'The engine needs {size / 1e9:.1f} GB on the disk that holds "{root}", and {free / 1e9:.1f} GB are free; '
            "free some space, or name another folder in the environment variable LIKENESS_ENGINE_DIR."
        )


def size_of(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(folder) for name in names)
