# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs for the set-up of the engine: run one so that it can be stopped at once, and put into words what pip
says. Standard library only."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .environment import this_python
from .errors import CancelledError, EngineMissingError, LikenessError, OutputError

# a package by name from elsewhere, by file from this disk
_STARTED = re.compile(r"Collecting ([\w.-]+)==|Processing (?:.*[/\\])?([\w.]+)-\S+\.whl")
_DOWNLOAD = re.compile(r"Downloading (?:\S*/)?(\S+\.whl) \(([\d.]+) ?([kMG]?)B\)")
_INSTALLING = re.compile(r"Installing collected packages: (.+)")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_NO_NETWORK = re.compile(r"Retrying \(|ConnectTimeout|NewConnectionError|ProxyError|SSLError|ReadTimeout|Max retries")

Stop = Callable[[], bool]


def run(
    command: list[str],
    environment: Mapping[str, str],
    stop: Stop,
    on_line: Callable[[str], None] = lambda line: None,
    on_wait: Callable[[], None] = lambda: None,
) -> tuple[int, list[str]]:
    """Run ``command`` to its end; returns its exit code and what it printed, which also goes to stderr.

    ``on_line`` gets each line as it comes, ``on_wait`` is called some times a second in between. When ``stop`` says
    True, the command dies at once, with all that it started.

    Raises:
        CancelledError: it was stopped.
        OSError: it cannot be started.
    """
    own_group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        **own_group,
    )
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), daemon=True)
    reader.start()
    said: list[str] = []
    try:
        while (line := _next(lines)) is not None:
            if stop():
                raise CancelledError("The set-up of the engine was cancelled; nothing has changed.")
            if line:
                print(line, file=sys.stderr, flush=True)
                said.append(line)
                on_line(line)
            else:
                on_wait()
        return process.wait(), said
    finally:
        if process.poll() is None:
            _kill(process)
        process.wait()
        reader.join(1.0)
        process.stdout.close()


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line.rstrip() or " ")
    lines.put(None)


def _next(lines: queue.Queue[str | None]) -> str | None:
    """The next line; nothing in it where none came for a moment, None at the end."""
    try:
        return lines.get(timeout=0.1)
    except queue.Empty:
        return ""


def _kill(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)


class PipProgress:
    """Turns the lines of ``pip install`` into steps: "Downloading torch (200 MB), 2 of 9".

    ``scratch`` is where pip keeps what it downloads, ``send`` takes a text and a factor between 0 and 1.
    """

    def __init__(self, packages: int, scratch: Path, verb: str, send: Callable[[str, float], None]) -> None:
        self._packages = packages
        self.done = 0
        self._scratch, self._verb, self._send = scratch, verb, send
        self._text, self._file, self._bytes = "", "", 0.0

    def line(self, line: str) -> None:
        """One line of pip's."""
        if match := _STARTED.match(line.strip()):
            self.done += 1
            self._bytes = 0.0
            self._text = f"{self._verb} {match[1] or match[2]}, {self.done} of {self._packages}"
            self._show(0.0)
        elif match := _DOWNLOAD.match(line.strip()):
            self._file, self._bytes = match[1], float(match[2]) * _UNITS[match[3]]
            self._text = (
                f"{self._verb} {match[1].partition('-')[0]} ({match[2]} {match[3]}B), {self.done} of {self._packages}"
            )
            self._show(0.0)
        elif match := _INSTALLING.match(line.strip()):
            self._bytes = 0.0
            count = len(match[1].split(", "))
            self._text = f"Installing {count} package{'s' if count > 1 else ''}"
            self._show(1.0)

    def wait(self) -> None:
        """Nothing new: how large has the file become?"""
        if self._bytes > 0.0:
            for file in self._scratch.glob(f"pip-unpack-*/{self._file}"):
                self._show(min(file.stat().st_size / self._bytes, 1.0))

    def _show(self, part: float) -> None:
        self._send(self._text, (self.done - 1 + part) / max(self._packages, 1))


def pip_error(lines: list[str], where: str) -> LikenessError:
    """The reason that pip gives among its ``lines``, for an artist. ``where`` is what it took packages from."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return OutputError(
            "The disk became full while the engine was set up; nothing has changed. Free some space and try again."
        )
    if "DO NOT MATCH THE HASHES" in text:
        names = re.findall(r"^\s+(\S+?)(?:==\S+)? from \S+", text, re.MULTILINE)
        return EngineMissingError(
            f"{', '.join(dict.fromkeys(names)) or 'A package'} from {where} is not the file that Likeness was tested "
            "with, and was not installed; try again, or ask whoever runs that index."
        )
    if _NO_NETWORK.search(text):
        return EngineMissingError(
            f"{where} cannot be reached; check the network and the proxy in the preferences, or set the engine up from "
            "a folder of wheels."
        )
    if match := re.search(r"No matching distribution found for (\S+)", text):
        return EngineMissingError(
            f"{where} has no wheel of {match[1].replace('==', ' ')} for Python {this_python()} on this system; choose "
            "another index, or an existing Python that has torch and Warp."
        )
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["it said nothing"]
    return EngineMissingError(f"The packages from {where} could not be installed: {errors[-1].strip()}")
