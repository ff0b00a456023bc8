# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line says: results and progress on stdout, warnings and the one error line on stderr."""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Literal, TextIO

from ..engine.result import Progress

# Seconds between two lines where the output is no terminal: a log, not a film.
_LINE_INTERVAL = 5.0
_TERMINAL_INTERVAL = 0.2


class Console:
    """Plain text for people, or one JSON object a line for programs (``form="json"``)."""

    def __init__(self, stream: TextIO, form: Literal["plain", "json"] = "plain") -> None:
        self._stream = stream
        self.form = form
        self._terminal = stream.isatty()
        self._width = 0  # of the progress line on the terminal
        self._last = -math.inf
        self._waiting = ""  # what was said last, while the fit waits for something else

    def say(self, text: str) -> None:
        """A line for people; nothing in JSON, where ``send`` says the same."""
        if self.form == "plain":
            self._end_progress()
            self._write(text + "\n")

    def send(self, kind: str, **values: Any) -> None:
        """A message for programs; nothing in plain form."""
        if self.form == "json":
            self._write(json.dumps({"type": kind, **_finite(values)}, ensure_ascii=False) + "\n")

    def progress(self, step: Progress) -> None:
        """Where the fit stands; on a terminal one line that changes, in a file a line every few seconds."""
        self.send("progress", **vars(step))
        if self.form == "json":
            return
        now = time.monotonic()
        due = now - self._last >= (_TERMINAL_INTERVAL if self._terminal else _LINE_INTERVAL)
        if not due and step.iteration < step.iterations:
            return
        text = f"{step.stage}  {step.iteration}/{step.iterations}"
        if step.rate > 0:
            text += f"  loss {step.loss:.5f}  {step.rate:.2f} it/s  {clock(step.seconds_left)} left"
            self._waiting = ""
        elif text == self._waiting:  # as for Cycles: once is enough
            return
        else:
            self._waiting = text
        self._last = now
        if self._terminal:
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._write(text + "\n")

    def warn(self, message: str) -> None:
        """A warning, one line."""
        self._end_progress()
        self.send("warning", message=message)
        print(f"likeness: warning: {one_line(message)}", file=sys.stderr, flush=True)

    def fail(self, message: str, exit_code: int) -> None:
        """The one line that says why it ends here."""
        self._end_progress()
        self.send("error", exit_code=exit_code, message=message)
        print(f"likeness: error: {one_line(message)}", file=sys.stderr, flush=True)

    def _end_progress(self) -> None:
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            pass  # `likeness … | head`: the work goes on


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """stdout for Likeness alone. Blender prints to it from C ("Read blend: …", "Saved: …"); that is dropped, so that
    programs can read what is left. Set LIKENESS_VERBOSE to see it on stderr."""
    _flush()
    try:
        saved = os.dup(1)
    except OSError:  # started without one
        yield sys.stdout
        return
    stream = os.fdopen(os.dup(saved), "w", encoding="utf-8", errors="replace", newline="\n")
    sink = os.dup(2) if os.environ.get("LIKENESS_VERBOSE") else os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 1)
        # operators print through sys.stdout, which need not be descriptor 1
        with os.fdopen(sink, "w") as dropped, redirect_stdout(dropped):
            yield stream
    finally:
        _flush()
        os.dup2(saved, 1)
        os.close(saved)
        with suppress(BrokenPipeError):
            stream.close()


def _flush() -> None:
    """Python's and C's buffers of stdout: what Blender printed must not come out after stdout is ours no more."""
    sys.stdout.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)


def clock(seconds: float) -> str:
    """``75`` as ``1:15``; what is not known as ``?``."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def one_line(message: str) -> str:
    """The message without line breaks."""
    return " ".join(message.split())


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
