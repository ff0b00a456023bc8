# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent's end of the worker process: start it, read its messages without blocking, ask it to stop.

Messages and log pass through files in the job folder. A timer in Blender can read those at any time on any
platform, without threads (which must not outlive an operator) and without pipes that fill up.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import (
    CancelledError,
    DivergedError,
    EngineMissingError,
    LikenessError,
    OutOfMemoryError,
    SceneError,
    UsageError,
)
from .job import load_result
from .result import FitResult, Progress

_WORKER = Path(__file__).with_name("worker.py")
_ERRORS = {
    kind.exit_code: kind
    for kind in (UsageError, SceneError, EngineMissingError, OutOfMemoryError, DivergedError, CancelledError)
}


class Worker:
    """A running worker. ``python`` is an interpreter that has torch and Warp, ``folder`` a job folder.

    Raises EngineMissingError where the interpreter cannot be started.
    """

    def __init__(self, python: str, folder: Path, resume: bool = False) -> None:
        self.folder = folder
        self.result: FitResult | None = None
        self.warnings: list[str] = []
        messages, log = folder / "messages.jsonl", folder / "log.txt"
        command = [python, str(_WORKER), str(folder), *(["--resume"] if resume else [])]
        # Blender's own Python settings must not leak into the other Python
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
        environment["PYTHONUNBUFFERED"] = "1"
        try:
            with open(messages, "wb") as out, open(log, "wb") as err:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    env=environment,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            raise EngineMissingError(
                f'The engine\'s Python "{python}" cannot be started ({error.strerror}); '
                "choose another in the add-on's preferences or in LIKENESS_PYTHON."
            ) from error
        self._messages = open(messages, "rb")  # noqa: SIM115 (closed by close)
        self._log = log
        self._rest = b""

    def poll(self) -> list[Progress]:
        """Progress since the last call. Sets ``result`` once there is one; raises the error that the worker sent."""
        ended = self._process.poll() is not None  # before reading, so that the last words are not missed
        progress = []
        for message in self._read():
            if message["type"] == "progress":
                progress.append(_progress(message))
            elif message["type"] == "warning":
                self.warnings.append(message["message"])
            elif message["type"] == "result":
                self.result = load_result(self.folder)
            elif message["type"] == "error":
                raise _ERRORS.get(message["exit_code"], LikenessError)(message["message"])
        if ended and self.result is None:
            raise LikenessError(self._last_words())
        return progress

    def wait(self, interval: float = 0.1) -> Iterator[Progress | None]:
        """Progress until the result is there, and None after each pause of ``interval`` seconds without any."""
        while self.result is None:
            yield from self.poll()
            if self.result is None:
                time.sleep(interval)
                yield None

    def cancel(self) -> None:
        """Ask for checkpoint and result; both come through ``poll`` a moment later."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it has ended already
                self._process.stdin.write(b"cancel\n")
                self._process.stdin.flush()

    def close(self, patience: float = 10.0) -> None:
        """Let go of the process; one that still runs is stopped, after ``patience`` seconds by force."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._messages.close()

    def _read(self) -> Iterator[dict[str, Any]]:
        *lines, self._rest = (self._rest + self._messages.read()).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return f'The engine stopped with code {self._process.returncode}{said}. Its log is "{self._log}".'


def _progress(message: dict[str, Any]) -> Progress:
    # the worker writes None for what is not finite
    values: dict[str, Any] = {
        name: math.nan if message[name] is None else message[name] for name in Progress.__dataclass_fields__
    }
    return Progress(**values)
