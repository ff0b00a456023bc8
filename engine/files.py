# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing files so that nobody ever finds half of one, and saying in plain words why it did not work."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError

# kept free beside what is asked for: the system and other programs write, too
_SPARE_BYTES = 16 << 20


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` with its suffix; the file written there becomes ``path`` when the block ends.

    If the block fails, ``path`` is as it was and nothing is left behind.

    Raises:
        OutputError: the folder is missing or read-only, or the disk is full.
    """
    path = Path(path)
    require_folder(path.parent)
    temporary = path.parent / f".{path.stem}-{os.getpid()}.part{path.suffix}"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _explained(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) to ``path`` in one step. Raises OutputError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def require_folder(folder: Path | str, create: bool = False) -> None:
    """Make sure that files can be written into ``folder``, made with its parents where ``create`` allows it.

    Raises:
        OutputError: it is missing, not a folder, or read-only.
    """
    folder = Path(folder)
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        # permissions lie on network drives and under Windows: only a file proves it
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _explained(folder, error) from error


def require_space(folder: Path | str, size: int) -> None:
    """Make sure that ``size`` bytes can be written into the existing ``folder``.

    Raises:
        OutputError: there is less room on the disk.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise _explained(Path(folder), error) from error
    if free < size + _SPARE_BYTES:
        raise OutputError(
            f'The disk that holds "{folder}" has {_megabytes(free)} MB free, the result needs {_megabytes(size)} MB; '
            "free some space or choose another folder."
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f}"


def _explained(path: Path, error: OSError) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(f'"{path}" cannot be written, the disk is full; free some space or choose another folder.')
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f'"{path}" cannot be written, it is read-only; choose another folder.')
    if error.errno == errno.ENOENT:
        return OutputError(f'"{path}" cannot be written, its folder is not there; make it or choose another one.')
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return OutputError(f'"{path}" cannot be written, there is a file where a folder is needed or the reverse.')
    return OutputError(f'"{path}" cannot be written: {error.strerror or error}.')
