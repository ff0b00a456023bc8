# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of our own that writes JSON lines: start it, read them without blocking, tell it something, let it go.

Messages and log pass through files. A timer in Blender can read those at any time on any platform, without threads
(which must not outlive an operator) and without pipes that fill up.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Blender's own Python settings must not leak into another Python.
_LEAKS = ("PYTHONHOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONSTARTUP")


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for another Python, with ``more`` in it."""
    kept = {key: value for key, value in os.environ.items() if key not in _LEAKS}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Child:
    """A running process. stdout goes to messages.jsonl, stderr to log.txt, both in ``folder``.

    Raises OSError where it cannot be started.
    """

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.log = folder / "log.txt"
        messages = folder / "messages.jsonl"
        with contextlib.suppress(OSError):
            messages.unlink()  # a process whose Blender died may still be writing into the old file
        with open(messages, "wb") as out, open(self.log, "wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._messages = open(messages, "rb")  # noqa: SIM115 (closed by close)
        self._rest = b""

    def is_over(self) -> bool:
        """Whether it has ended. Ask before ``read``, so that the last words are not missed."""
        return self.process.poll() is not None

    def read(self) -> Iterator[dict[str, Any]]:
        """Messages since the last call."""
        *lines, self._rest = (self._rest + self._messages.read()).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):  # before our words Blender says its own
                yield json.loads(line)

    def tell(self, line: str) -> None:
        """Write a line to its stdin, unless it has ended."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(OSError):
                self.process.stdin.write(line.encode() + b"\n")
                self.process.stdin.flush()

    def let_go(self) -> None:
        """Leave the process alone: it sees the end of its stdin and ends by itself."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self._messages.close()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.let_go()

    def close(self, patience: float = 10.0) -> None:
        """Let go of the process; one that still runs is stopped, after ``patience`` seconds by force."""
        self.let_go()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """The last line of its log, for a process that ended without a word."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return f'stopped with code {self.process.returncode}{said}. Its log is "{self.log}".'
