# SPDX-License-Identifier: GPL-3.0-or-later
"""The set-up of the engine in a process of its own: ``python engine/environment_worker.py SETUP_FOLDER``.

Run by Blender's own Python, with the standard library only. The folder lies in that of the engine and holds
request.json (environment.Request). Messages go to stdout, one JSON object a line; the log goes to stderr:

``{"type": "step", "text", "factor"}``
``{"type": "result", "engine"}``             environment.Engine
``{"type": "error", "exit_code", "message"}``

SIGTERM, SIGINT, the line ``cancel`` on stdin and its end (the parent died) stop the set-up: what it started dies at
once, what it made is removed. The engine of before stays in use until the new one has passed its test.
"""

# Nothing of the package up here: run by path, this file belongs to none yet.
from __future__ import annotations

import errno
import json
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path


def main(argv: Sequence[str]) -> int:
    """Do what the request says; returns the exit code."""
    from .environment import Request
    from .environment_setup import set_up
    from .errors import EXIT_INTERNAL, EXIT_OK, LikenessError
    from .messages import sender, take_stdout

    send = sender(take_stdout())
    stop = threading.Event()
    _stop_when_told(stop)
    folder = Path(argv[0])
    try:
        with _named_errors():
            request = Request.from_json(json.loads((folder / "request.json").read_text(encoding="utf-8")))
            (folder / "request.json").unlink()  # an address may hold a password
            engine = set_up(
                folder, request, lambda text, factor: send(type="step", text=text, factor=factor), stop.is_set
            )
    except LikenessError as error:
        send(type="error", exit_code=error.exit_code, message=str(error))
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        send(type="error", exit_code=EXIT_INTERNAL, message=f"Internal error: {error!r}. This is a bug in Likeness.")
        return EXIT_INTERNAL
    send(type="result", engine=asdict(engine))
    return EXIT_OK


@contextmanager
def _named_errors() -> Iterator[None]:
    from .errors import OutputError

    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutputError(
            f'The disk is full while writing "{error.filename}"; nothing has changed. Free some space and try again.'
        ) from error


def _stop_when_told(stop: threading.Event) -> None:
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # SIGBREAK: Windows
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, lambda *_: stop.set())

    def listen() -> None:
        for line in iter(sys.stdin.readline, ""):
            if line.strip() == "cancel":
                break
        stop.set()

    threading.Thread(target=listen, name="likeness-stdin", daemon=True).start()


if __name__ == "__main__":
    from worker import _import_package  # beside this file, where Python looks first

    _import_package()
    sys.exit(import_module("likeness.engine.environment_worker").main(sys.argv[1:]))
