# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking Blender's Cycles for pictures of a scene as a fit has made it, in a process of its own.

The bridge leaves a copy of the .blend and the command that serves it in the job folder (bridge/cycles_copy.py); here
is who starts that command and talks to it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .child import Child, clean_environment
from .errors import LikenessError
from .job import save_result
from .result import FitResult

BLEND = "cycles.blend"
COMMAND = "cycles.json"
FOLDER = "cycles"
PATIENCE = 900.0  # seconds without an answer, after which Cycles is given up
_POLL = 0.05


@dataclass(frozen=True)
class CyclesView:
    """A picture to be rendered."""

    camera: str  # name of the camera object
    width: int
    height: int
    aspect: tuple[float, float]  # of a pixel


def save_command(folder: Path, command: list[str]) -> None:
    """Leave the command that serves the copy in a job folder."""
    (folder / COMMAND).write_text(json.dumps(command), encoding="utf-8")


def forget_copy(folder: Path) -> None:
    """Free the disk that only a fit at work needs in a job folder. No error where there is nothing."""
    for name in (BLEND, COMMAND):
        with suppress(OSError):
            (folder / name).unlink()
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


class CyclesService:
    """The process that renders; started with the first request."""

    def __init__(self, job: Path) -> None:
        """``job`` is a job folder. Raises LikenessError where nothing in it says how to ask Cycles."""
        try:
            self._command = json.loads((job / COMMAND).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LikenessError("the job folder holds no copy of the scene for it") from error
        self._folder = job / FOLDER
        self._child: Child | None = None
        self._ready = False
        self._requests = 0

    def render(
        self, result: FitResult, views: list[CyclesView], samples: int, seed: int
    ) -> Generator[None, None, list[np.ndarray]]:
        """Scene-linear pictures [H, W, 3], row 0 at the bottom, of the scene with ``result`` written into it.

        Yields while it waits. Raises LikenessError where Blender cannot be started, ends, or cannot render.
        """
        if self._child is None:
            self._start()
        assert self._child is not None
        save_result(self._folder, result)
        self._requests += 1
        request = {"id": self._requests, "folder": str(self._folder.absolute()), "samples": samples, "seed": seed}
        self._child.tell(json.dumps({**request, "views": [asdict(view) for view in views]}))
        asked = time.monotonic()
        while True:
            over = self._child.is_over()
            for message in self._child.read():
                if message["type"] == "done" and message["id"] == self._requests:
                    return [np.load(self._folder / f"{number}.npy") for number in range(len(views))]
                if message["type"] == "failed" and message["id"] == self._requests:
                    raise LikenessError(message["message"])
            if over:
                raise LikenessError(f"Blender {self._child.last_words()}")
            if time.monotonic() - asked > PATIENCE:
                raise LikenessError(f"Blender did not answer for {PATIENCE / 60:.0f} minutes")
            yield
            time.sleep(_POLL)

    def _start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            self._child = Child(self._command, self._folder, clean_environment())
        except OSError as error:
            raise LikenessError(f'"{self._command[0]}" cannot be started ({error.strerror})') from error

    def close(self) -> None:
        """End the process at once, whatever it is doing."""
        if self._child is not None:
            self._child.kill()
            self._child.process.wait()
            self._child = None
