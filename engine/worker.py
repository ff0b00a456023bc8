# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine in a process of its own: ``python engine/worker.py JOB_DIR [--resume] [--keep]``.

Run by path, by whatever Python has torch and Warp, from whatever folder the extension lies in. Messages go to
stdout, one JSON object a line; the log goes to stderr:

``{"type": "progress", "iteration", "iterations", "stage", "loss", "rate", "seconds_left"}``
``{"type": "preview", "index", "photo", "camera", "width", "height"}``   new pictures of a photo, see engine/preview.py
``{"type": "paused", "paused"}``                        it waits, or goes on
``{"type": "warning", "message"}``
``{"type": "report", "path"}``                          the page
``{"type": "result", "path", "iterations", "cancelled"}``   the folder, for engine.job.load_result
``{"type": "error", "exit_code", "message"}``

Lines on stdin: ``pause`` and ``continue`` between two steps; ``preview NAME`` chooses the photo that is shown;
``cancel`` stops the fit, after checkpoint and result; ``abort`` ends the process as soon as the checkpoint is written,
in the middle of a step if need be. SIGTERM, SIGINT and the end of a piped stdin (the parent died) are as ``cancel``.
With ``--keep`` the result of the checkpoint is written and nothing more is fitted. Exit codes are those of
engine/errors.py.
"""

# Nothing but the standard library up here: what is missing must become a message, not a traceback.
from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from .fit import FitRun
    from .preview import LivePreview
    from .result import Progress


def main(argv: Sequence[str]) -> int:
    """Fit the job in ``argv``; returns the exit code."""
    from .messages import sender, take_stdout

    send = sender(take_stdout())
    from .errors import EXIT_CANCELLED, EXIT_INTERNAL, EXIT_OK, EXIT_USAGE, LikenessError
    from .run import named_errors

    resume, keep = "--resume" in argv, "--keep" in argv
    folders = [argument for argument in argv if argument not in ("--resume", "--keep")]
    if len(folders) != 1:
        send(type="error", exit_code=EXIT_USAGE, message="usage: worker.py JOB_DIR [--resume] [--keep]")
        return EXIT_USAGE
    control = _Control(send)
    control.listen_to_signals()
    control.listen_to_stdin()
    if keep:
        control.stop()
    try:
        with named_errors():
            cancelled = _fit(Path(folders[0]), resume or keep, control, send)
    except LikenessError as error:
        send(type="error", exit_code=error.exit_code, message=str(error))
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        send(type="error", exit_code=EXIT_INTERNAL, message=f"Internal error: {error!r}. This is a bug in Likeness.")
        return EXIT_INTERNAL
    return EXIT_CANCELLED if cancelled else EXIT_OK


def _fit(folder: Path, resume: bool, control: _Control, send: Callable[..., None]) -> bool:
    from .errors import OutputError
    from .job import load_job, save_result
    from .locks import FileLock
    from .preflight import view_warnings
    from .preview import LivePreview, write_results
    from .report import write_report
    from .run import run_fit
    from .runs import read_info

    def report(progress: Progress) -> None:
        send(type="progress", **asdict(progress))

    lock = FileLock(folder / "worker.lock")
    lock.acquire(patience=60.0)  # a worker whose Blender died may still be writing its checkpoint
    scene, settings = load_job(folder)
    before = view_warnings(scene)
    for message in before:
        send(type="warning", message=message)
    control.preview = LivePreview(folder, partial(send, type="preview"), control.photo)
    result = run_fit(scene, settings, folder, resume, report, control.shall_stop, control.watch)
    for message in result.warnings:
        send(type="warning", message=message)
    result.warnings = [*before, *result.warnings]
    save_result(folder, result)
    try:
        write_results(folder, result)
        for index, photo in enumerate(result.photos):
            height, width = photo.photo.shape[:2]
            send(type="preview", index=index, photo=photo.name, camera=photo.camera, width=width, height=height)
        info = read_info(folder)
        page = write_report(Path(info.report_dir) if info and info.report_dir else folder, *load_job(folder), result)
        send(type="report", path=str(page))
    except OutputError as error:  # the fit is worth more than its pictures
        send(type="warning", message=str(error))
    send(type="result", path=str(folder), iterations=result.iterations, cancelled=result.cancelled)
    return result.cancelled


class _Control:
    """What the parent wants; lines and signals may arrive at any moment."""

    def __init__(self, send: Callable[..., None]) -> None:
        self.preview: LivePreview | None = None
        self.photo = ""  # that is shown in the preview
        self._send = send
        self._stop = threading.Event()
        self._go = threading.Event()  # not set while the fit shall wait
        self._go.set()
        self._run: FitRun | None = None

    def stop(self) -> None:
        """Stop after the next step, waiting or not."""
        self._stop.set()
        self._go.set()

    def shall_stop(self) -> bool:
        """Asked between two steps; waits while the parent wants a pause."""
        if not self._go.is_set():
            self._send(type="paused", paused=True)
            self._go.wait()
            self._send(type="paused", paused=False)
        return self._stop.is_set()

    def watch(self, run: FitRun, index: int, shown: torch.Tensor) -> None:
        """Sees each picture that the fit renders."""
        self._run = run
        if self.preview is not None:
            self.preview(run, index, shown)

    def _abort(self) -> None:
        """Save what there is to save and end, whatever the main thread is doing."""
        from .errors import EXIT_CANCELLED

        try:
            if self._run is not None:
                self._run.save()
            self._send(type="error", exit_code=EXIT_CANCELLED, message="The fit was cancelled.")
        finally:
            os._exit(EXIT_CANCELLED)

    def listen_to_signals(self) -> None:
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # SIGBREAK: Windows
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, lambda *_: self.stop())

    def listen_to_stdin(self) -> None:
        """Obey lines in a thread; does nothing where stdin is no pipe, whose end says nothing about a parent."""
        if sys.stdin is None or not stat.S_ISFIFO(os.fstat(0).st_mode):
            return
        threading.Thread(target=self._listen, name="likeness-stdin", daemon=True).start()

    def _listen(self) -> None:
        # unbuffered: a thread that waits inside of a buffer would abort the interpreter at its end
        lines = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
        for line in iter(lines.readline, b""):
            word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if word == "preview":
                self.photo = rest
                if self.preview is not None:
                    self.preview.photo = rest
            elif word == "pause":
                self._go.clear()
            elif word == "continue":
                self._go.set()
            elif word == "abort":
                self._abort()
            elif word == "cancel":
                break
        self.stop()


def _import_package() -> Callable[[Sequence[str]], int]:
    """Import the package above this file as ``likeness``, whatever its folder is called, and return its main."""
    here = Path(__file__).resolve()
    # Python put the script's folder first on the path, where engine/scene.py would be found as "scene"
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here.parent]
    root = here.parents[1]
    spec = importlib.util.spec_from_file_location(
        "likeness", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = package
    spec.loader.exec_module(package)
    return importlib.import_module("likeness.engine.worker").main


if __name__ == "__main__":
    sys.exit(_import_package()(sys.argv[1:]))
