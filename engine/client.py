# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent's end of the worker process: start it, read its messages without blocking, tell it what to do.

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
from dataclasses import dataclass
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


@dataclass
class Preview:
    """New pictures of a photo are there, see engine.preview."""

    index: int
    photo: str
    camera: str
    width: int
    height: int


class Worker:
    """A running worker. ``python`` is an interpreter that has torch and Warp, ``folder`` a job folder.

    ``resume`` goes on from the checkpoint; ``keep`` makes a result of it and no step more.
    Raises EngineMissingError where the interpreter cannot be started.
    """

    def __init__(self, python: str, folder: Path, resume: bool = False, keep: bool = False) -> None:
        self.folder = folder
        self.ended = False  # the result is in the folder
        self.cancelled = False  # it is that of a fit that was stopped
        self.iterations = 0
        self.paused = False
        self.report = ""  # path of the page
        self.warnings: list[str] = []
        self.previews: dict[int, Preview] = {}  # new since somebody emptied it
        messages, log = folder / "messages.jsonl", folder / "log.txt"
        command = [python, str(_WORKER), str(folder), *["--resume"] * resume, *["--keep"] * keep]
        # Blender's own Python settings must not leak into the other Python
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
        environment["PYTHONUNBUFFERED"] = "1"
        with contextlib.suppress(OSError):
            messages.unlink()  # a worker whose Blender died may still be writing into the old file
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

    @property
    def result(self) -> FitResult | None:
        """The result, read from disk; None before the end. Raises SceneError where the file is damaged."""
        return load_result(self.folder) if self.ended else None

    def poll(self) -> list[Progress]:
        """Progress since the last call. Sets ``ended`` once there is a result; raises the worker's error."""
        dead = self._process.poll() is not None  # before reading, so that the last words are not missed
        progress = []
        for message in self._read():
            kind = message.pop("type")
            if kind == "progress":
                progress.append(_progress(message))
                self.iterations = message["iteration"]
            elif kind == "preview":
                self.previews[message["index"]] = Preview(**message)
            elif kind == "paused":
                self.paused = message["paused"]
            elif kind == "warning":
                self.warnings.append(message["message"])
            elif kind == "report":
                self.report = message["path"]
            elif kind == "result":
                self.ended, self.cancelled, self.iterations = True, message["cancelled"], message["iterations"]
            elif kind == "error":
                raise _ERRORS.get(message["exit_code"], LikenessError)(message["message"])
        if dead and not self.ended:
            raise LikenessError(self._last_words())
        return progress

    def wait(self, interval: float = 0.1) -> Iterator[Progress | None]:
        """Progress until the result is there, and None after each pause of ``interval`` seconds without any."""
        while not self.ended:
            yield from self.poll()
            if not self.ended:
                time.sleep(interval)
                yield None

    def cancel(self) -> None:
        """Ask for checkpoint and result; both come through ``poll`` a moment later."""
        self._tell("cancel")

    def abort(self) -> None:
        """Ask to stop after the checkpoint, without a result; ``poll`` raises CancelledError then."""
        self._tell("abort")

    def pause(self) -> None:
        """Ask to wait before the next step; ``paused`` says when it does."""
        self._tell("pause")

    def go_on(self) -> None:
        """End a pause."""
        self._tell("continue")

    def show(self, photo: str) -> None:
        """Choose the photo of the live preview by name."""
        self._tell(f"preview {photo}")

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it has ended already
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()

    def let_go(self) -> None:
        """Leave the process alone: it sees the end of its stdin, writes checkpoint and result, and ends by itself."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._messages.close()

    def kill(self) -> None:
        """End the process at once; what is not in its checkpoint is lost."""
        self._process.kill()
        self.let_go()

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
        code = self._process.returncode
        if code < 0:  # by a signal; Windows has none
            return (
                f"The engine was killed (signal {-code}), by hand or because memory ran out; go on from the last "
                f'checkpoint, or choose a smaller resolution or texture size. Its log is "{self._log}"'
            )
        lines = self._log.read_text(errors="replace").strip().splitlines()
        said = f": {lines[-1]}" if lines else ""
        return f'The engine stopped with code {code}{said}. Its log is "{self._log}".'


def _progress(message: dict[str, Any]) -> Progress:
    # the worker writes None for what is not finite
    values: dict[str, Any] = {
        name: math.nan if message[name] is None else message[name] for name in Progress.__dataclass_fields__
    }
    return Progress(**values)
