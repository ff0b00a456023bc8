# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine in a process of its own: ``python engine/worker.py JOB_DIR [--resume]``.

Run by path, by whatever Python has torch and Warp, from whatever folder the extension lies in. Messages go to
stdout, one JSON object a line; the log goes to stderr:

``{"type": "progress", "iteration", "iterations", "stage", "loss", "rate", "seconds_left"}``
``{"type": "warning", "message"}``
``{"type": "result", "path", "cancelled"}``      the folder, for engine.job.load_result
``{"type": "error", "exit_code", "message"}``

SIGTERM, SIGINT, the line ``cancel`` on stdin, and the end of a piped stdin (the parent died) all stop the fit: the
checkpoint and the result reached so far are written first. Exit codes are those of engine/errors.py.
"""

# Nothing but the standard library up here: what is missing must become a message, not a traceback.
from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from .result import Progress


def main(argv: Sequence[str]) -> int:
    """Fit the job in ``argv``; returns the exit code."""
    send = _sender(_take_stdout())
    from .errors import EXIT_CANCELLED, EXIT_INTERNAL, EXIT_OK, EXIT_USAGE, LikenessError
    from .run import named_errors

    resume = "--resume" in argv
    folders = [argument for argument in argv if argument != "--resume"]
    if len(folders) != 1:
        send(type="error", exit_code=EXIT_USAGE, message="usage: worker.py JOB_DIR [--resume]")
        return EXIT_USAGE
    stop = threading.Event()
    _stop_on_signals(stop)
    _stop_on_stdin(stop)
    try:
        with named_errors():
            cancelled = _fit(Path(folders[0]), resume, stop, send)
    except LikenessError as error:
        send(type="error", exit_code=error.exit_code, message=str(error))
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        send(type="error", exit_code=EXIT_INTERNAL, message=f"Internal error: {error!r}. This is a bug in Likeness.")
        return EXIT_INTERNAL
    return EXIT_CANCELLED if cancelled else EXIT_OK


def _fit(folder: Path, resume: bool, stop: threading.Event, send: Callable[..., None]) -> bool:
    from .job import load_job, save_result
    from .preflight import view_warnings
    from .run import run_fit

    def report(progress: Progress) -> None:
        send(type="progress", **asdict(progress))

    scene, settings = load_job(folder)
    before = view_warnings(scene)
    for message in before:
        send(type="warning", message=message)
    result = run_fit(scene, settings, folder, resume, report, stop.is_set)
    for message in result.warnings:
        send(type="warning", message=message)
    result.warnings = [*before, *result.warnings]
    save_result(folder, result)
    send(type="result", path=str(folder), cancelled=result.cancelled)
    return result.cancelled


def _take_stdout() -> TextIO:
    """stdout for messages alone: whatever else is printed in this process, by libraries too, goes to stderr."""
    sys.stdout.flush()
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return messages


def _sender(stream: TextIO) -> Callable[..., None]:
    def send(**message: Any) -> None:
        # JSON knows no NaN and no infinity
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in message.items()}
        try:
            stream.write(json.dumps(plain, ensure_ascii=False) + "\n")
            stream.flush()
        except BrokenPipeError:
            pass  # nobody listens any more; the end of stdin stops the fit

    return send


def _stop_on_signals(stop: threading.Event) -> None:
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # SIGBREAK: Windows
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda *_: stop.set())


def _stop_on_stdin(stop: threading.Event) -> None:
    if sys.stdin is None or not stat.S_ISFIFO(os.fstat(0).st_mode):
        return  # a terminal, a file or /dev/null: its end says nothing about a parent

    def listen() -> None:
        for line in iter(sys.stdin.readline, ""):
            if line.strip() == "cancel":
                break
        stop.set()

    threading.Thread(target=listen, name="likeness-stdin", daemon=True).start()


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
