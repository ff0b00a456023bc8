# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results go, checked before the work: a fit must not run for minutes and then have no place to write to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..engine.errors import OutputError, UsageError
from ..engine.files import require_folder


def check_output(path: Path, suffixes: tuple[str, ...], inputs: Iterable[Path]) -> None:
    """Make sure that a file can be written at ``path``: suffix, folder, rights, and that it is none of ``inputs``.

    Raises UsageError for what makes no sense and OutputError for what cannot be written.
    """
    if path.suffix.lower() not in suffixes:
        raise UsageError(f'--output "{path}" does not end in {" or ".join(suffixes)}.')
    for source in inputs:
        if _same_file(path, source):
            raise UsageError(
                f'--output "{path}" is the input file; the input is never overwritten, choose another name.'
            )
    if path.is_dir():
        raise OutputError(f'--output "{path}" is a folder; name a file in it.')
    check_folder(path.parent, f'--output "{path}"')
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f'--output "{path}" is write-protected; choose another name.')


def check_folder(folder: Path, what: str) -> None:
    """Make sure that files can be made in an existing folder. Raises OutputError, naming ``what`` needs it."""
    if not folder.is_dir():
        raise OutputError(f'{what}: the folder "{folder}" does not exist; make it first.')
    require_folder(folder)


def check_new_folder(folder: Path, what: str) -> None:
    """Make sure that ``folder`` exists and can be written to, or can be made in a folder that exists."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f'{what}: "{folder}" is a file; name a folder.')
    check_folder(folder if folder.is_dir() else folder.absolute().parent, what)


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:  # one of them does not exist yet
        return a.resolve() == b.resolve()
