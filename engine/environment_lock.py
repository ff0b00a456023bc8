# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of the engine, and how the wheels of a folder compare with it. Standard library only."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .environment import lock_files, this_python
from .errors import EngineMissingError, UsageError

_CONDITION = re.compile(r'(\w+) == "([^"]*)"')


@dataclass
class Pin:
    """One package of the lock, with the SHA-256 of every wheel it may come from."""

    name: str
    version: str
    hashes: set[str]

    def line(self) -> str:
        """As pip reads it."""
        return f"{self.name}=={self.version}{''.join(f' --hash=sha256:{digest}' for digest in sorted(self.hashes))}"


def plain_name(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(folder: Path, cuda: bool) -> list[Pin]:
    """What this Python needs on this system; with ``cuda`` what torch's CUDA build for Linux needs, too.

    Raises EngineMissingError where there is no lock for this Python, or none of torch for this system.
    """
    base, more = lock_files(folder, this_python())
    if not base.is_file():
        known = ", ".join(sorted(file.stem.rpartition("-")[2] for file in folder.glob("requirements-?.??.lock")))
        raise EngineMissingError(
            f"This version of Likeness can set its engine up for Python {known}, and this is Python {this_python()}; "
            "choose an existing Python that has torch and Warp, or update Likeness."
        )
    pins = list(_pins(base))
    if cuda and more.is_file():
        pins += _pins(more)
    return pins


def _pins(file: Path) -> Iterator[Pin]:
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        requirement, *hashes = line.split(" --hash=sha256:")
        pinned, _, marker = requirement.partition(" ; ")
        if _applies(marker):
            name, _, version = pinned.strip().partition("==")
            yield Pin(plain_name(name), version, {digest.strip() for digest in hashes})


def _applies(marker: str) -> bool:
    # all that scripts/lock_engine.py writes: a == "b" and c == "d" or …
    here = {"sys_platform": sys.platform, "platform_machine": platform.machine()}
    ways = [_CONDITION.findall(way) for way in marker.split(" or ")]
    return not marker.strip() or any(all(here[key] == value for key, value in way) for way in ways)


@dataclass
class Wheel:
    """A file of a folder of wheels."""

    path: Path
    name: str
    version: str  # with the build: 2.13.0+cpu
    pythons: list[str]  # cp311, py3, …
    abi: str

    def suits(self) -> bool:
        """Whether it is for this version of Python; pip finds out about the system."""
        mine = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        return mine in self.pythons or "py3" in self.pythons or "abi3" in self.abi.split(".")

    def digest(self) -> str:
        """SHA-256 of the file."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size(self) -> int:
        """Bytes that it takes once it is installed."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return sum(member.file_size for member in archive.infolist())
        except (OSError, zipfile.BadZipFile) as error:
            raise EngineMissingError(f'The wheel "{self.path}" is damaged ({error}); get it anew.') from error


def wheels_in(folder: Path) -> list[Wheel]:
    """The wheels of a folder. Raises UsageError where there is no such folder, or no wheel in it."""
    if not folder.is_dir():
        raise UsageError(f'The folder of wheels "{folder}" does not exist; choose another.')
    found = []
    for path in sorted(folder.glob("*.whl")):
        parts = path.stem.split("-")
        if len(parts) >= 5:  # name-version[-build]-python-abi-platform
            found.append(Wheel(path, plain_name(parts[0]), parts[1], parts[-3].split("."), parts[-2]))
    if not found:
        raise UsageError(f'There is no wheel (.whl) in the folder "{folder}"; choose another.')
    return found


def choose_wheels(pins: list[Pin], wheels: list[Wheel], trust: bool, folder: Path) -> list[tuple[Pin, list[Wheel]]]:
    """Each package with the wheels of it that may be installed; with ``trust`` all that have the right version.

    Raises EngineMissingError with the names of all packages that are missing, or of all files the lock does not know.
    """
    chosen, missing, unknown = [], [], []
    for pin in pins:
        mine = [
            wheel
            for wheel in wheels
            if wheel.name == pin.name and wheel.version.partition("+")[0] == pin.version and wheel.suits()
        ]
        known = mine if trust else [wheel for wheel in mine if wheel.digest() in pin.hashes]
        if not mine:
            missing.append(f"{pin.name} {pin.version}")
        elif not known:
            unknown += [wheel.path.name for wheel in mine]
        chosen.append((pin, known))
    if missing:
        raise EngineMissingError(
            f'The folder "{folder}" has no wheel of {", ".join(missing)} for Python {this_python()}; put what is '
            "missing into it."
        )
    if unknown:
        raise EngineMissingError(
            f'The folder "{folder}" has files that are not those that Likeness was tested with: {", ".join(unknown)}. '
            'Get them anew, or tick "Trust These Wheels" where you know where they come from.'
        )
    return chosen
