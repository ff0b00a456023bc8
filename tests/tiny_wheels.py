# SPDX-License-Identifier: GPL-3.0-or-later
"""A small package as a wheel, and a lock that knows it: what a set-up of the engine is tested with."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

from likeness.engine.environment import Module, Request

MODULES = [Module("tiny", "tiny", "1.0")]


def build_wheel(folder: Path, name: str = "tiny", code: str = "", version: str = "1.0") -> Path:
    """Write a wheel by hand, as PEP 427 says, with one module."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code or f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record_hash(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def build_lock(folder: Path, *wheels: Path, more: str = "") -> Path:
    """A folder with the locks of this Python that know ``wheels``; ``more``: further lines."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / f"requirements-{python}.lock").write_text("# made by hand\n" + "".join(lines) + more)
    (folder / f"requirements-{python}-cuda.lock").write_text("# none\n")
    return folder


def build_index(folder: Path, *wheels: Path) -> str:
    """A package index on the disk (PEP 503); returns its address."""
    for wheel in wheels:
        page = folder / wheel.name.partition("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f'<!DOCTYPE html><a href="{wheel.as_uri()}">{wheel.name}</a>')
    return folder.as_uri()


def request_wheels(wheels: Path, lock: Path, trust: bool = False) -> Request:
    """A set-up from a folder of wheels, on the processor."""
    return Request(
        "WHEELS", directory=str(wheels), device="cpu", trust=trust, lock_folder=str(lock), modules=list(MODULES)
    )


def _record_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
