# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock that dies with its process, however that ends: what tells a running fit from an interrupted one.

The number of a process says little, since the system gives it to another process soon.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

if os.name == "nt":
    import msvcrt

    def _lock(number: int) -> None:
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """The exclusive right to ``path``, held until ``release`` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self, patience: float = 0.0) -> bool:
        """Take the lock, waiting up to ``patience`` seconds; False where another holder, also of this process, has it.

        A file system without locks, or a folder that is gone, counts as taken by nobody.
        """
        end = time.monotonic() + patience
        try:
            number = os.open(self.path, os.O_RDWR | os.O_CREAT)
        except OSError:
            return True
        while True:
            try:
                _lock(number)
                self._file = number
                return True
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= end:
                    os.close(number)
                    return False
                time.sleep(0.05)
            except OSError:
                os.close(number)
                return True

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock at this moment."""
    if not path.exists():
        return False
    lock = FileLock(path)
    taken = not lock.acquire()
    lock.release()
    return taken
