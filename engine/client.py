# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent's end of the worker process: start it, read its messages without blocking, tell it what to do."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .child import Child, clean_environment
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
        command = [python, str(_WORKER), str(folder), *["--resume"] * resume, *["--keep"] * keep]
        try:
            self._child = Child(command, folder, clean_environment())
        except OSError as error:
            raise EngineMissingError(
                f'The engine\'s Python "{python}" cannot be started ({error.strerror}); '
                "choose another in the add-on's preferences or in LIKENESS_PYTHON."
            ) from error

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The operating system's process."""
        return self._child.process

    @property
    def result(self) -> FitResult | None:
        """The result, read from disk; None before the end. Raises SceneError where the file is damaged."""
        return load_result(self.folder) if self.ended else None

    def poll(self) -> list[Progress]:
        """Progress since the last call. Sets ``ended`` once there is a result; raises the worker's error."""
        dead = self._child.is_over()  # before reading, so that the last words are not missed
        progress = []
        for message in self._child.read():
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
        self._child.tell("cancel")

    def abort(self) -> None:
        """Ask to stop after the checkpoint, without a result; ``poll`` raises CancelledError then."""
        self._child.tell("abort")

    def pause(self) -> None:
        """Ask to wait before the next step; ``paused`` says when it does."""
        self._child.tell("pause")

    def go_on(self) -> None:
        """End a pause."""
        self._child.tell("continue")

    def show(self, photo: str) -> None:
        """Choose the photo of the live preview by name."""
        self._child.tell(f"preview {photo}")

    def let_go(self) -> None:
        """Leave the process alone: it sees the end of its stdin, writes checkpoint and result, and ends by itself."""
        self._child.let_go()

    def kill(self) -> None:
        """End the process at once; what is not in its checkpoint is lost."""
        self._child.kill()

    def close(self, patience: float = 10.0) -> None:
        """Let go of the process; one that still runs is stopped, after ``patience`` seconds by force."""
        self._child.close(patience)

    def _last_words(self) -> str:
        code = self.process.returncode
        if code < 0:  # by a signal; Windows has none
            return (
                f"The engine was killed (signal {-code}), by hand or because memory ran out; go on from the last "
                f'checkpoint, or choose a smaller resolution or texture size. Its log is "{self._child.log}"'
            )
        return f"The engine {self._child.last_words()}"


def _progress(message: dict[str, Any]) -> Progress:
    # the worker writes None for what is not finite
    values: dict[str, Any] = {
        name: math.nan if message[name] is None else message[name] for name in Progress.__dataclass_fields__
    }
    return Progress(**values)
