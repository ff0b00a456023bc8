# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs of one user: which job folder belongs to which scene of which file, and which of them need attention.

::

    jobs/fit-ab12/run.json   what RunInfo says
    jobs/fit-ab12/run.lock   held by the Blender that runs or queues it
    jobs/fit-ab12/…          the job itself, see job.py

A run is never lost: a folder that nobody holds and whose result was not applied can be resumed or applied later.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .errors import OutputError
from .files import write_atomic
from .job import CHECKPOINT
from .locks import is_locked

INFO, LOCK, MESSAGES = "run.json", "run.lock", "messages.jsonl"
KEPT = 10  # runs that stay on disk of those that are finished, and of those that are not
_TAIL = 1 << 16  # bytes of the messages that are searched for the last ones


@dataclass
class RunInfo:
    """What is known of a run besides its job."""

    scene: str = ""  # name of the scene it was started from
    uid: str = ""  # scene.likeness.uid of it
    blend: str = ""  # absolute path of the file, empty where it was never saved
    started: float = 0.0  # seconds since the epoch
    apply: bool = False  # write the result into the scene at the end
    report_dir: str = ""  # where the report goes; empty: into the job folder
    settled: bool = False  # the result is in the scene, or there never was anything to keep
    done: float = 0.0  # share of the steps when it went on last


@dataclass
class FoundRun:
    """A run on disk. ``done`` is the share of its steps, as its worker said last."""

    folder: Path
    info: RunInfo
    done: float
    has_checkpoint: bool
    has_result: bool
    finished: bool  # the result is that of a fit that came to its end

    def sentence(self) -> str:
        """What happened to it, for the artist: "The fit of pot.blend was interrupted at 43 %"."""
        name = Path(self.info.blend).name if self.info.blend else "an unsaved file"
        of = f'The fit of {name}, scene "{self.info.scene}",'
        if self.finished:
            return f"{of} is done and not applied"
        if self.has_checkpoint or self.has_result:
            return f"{of} was interrupted at {self.done:.0%}"
        return f"{of} was interrupted before its first checkpoint"


def write_info(folder: Path, info: RunInfo) -> None:
    """Put ``info`` into a job folder. Raises OutputError."""
    write_atomic(folder / INFO, json.dumps(asdict(info), ensure_ascii=False))


def read_info(folder: Path) -> RunInfo | None:
    """What write_info wrote; None where there is nothing that can be read."""
    try:
        data = json.loads((folder / INFO).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict):
        return None
    return RunInfo(**{field.name: data[field.name] for field in fields(RunInfo) if field.name in data})


def settle(folder: Path) -> None:
    """The run needs no more attention, see RunInfo."""
    info = read_info(folder)
    if info is not None and not info.settled:
        info.settled = True
        with suppress(OutputError):  # a run that is offered once too often does no harm
            write_info(folder, info)


def find_run(folder: Path) -> FoundRun | None:
    """The run in a job folder; None where there is none."""
    info = read_info(folder)
    if info is None:
        return None
    done, finished = _last_words(folder, info.done)
    has_result = (folder / "result.json").is_file()
    return FoundRun(folder, info, done, (folder / CHECKPOINT).is_file(), has_result, finished and has_result)


def idle_runs(parent: Path) -> list[FoundRun]:
    """All runs below ``parent`` that no living process holds, the newest first."""
    found = []
    for file in parent.glob(f"*/{INFO}"):
        if not is_locked(file.parent / LOCK):
            run = find_run(file.parent)
            if run is not None:
                found.append(run)
    return sorted(found, key=lambda run: run.info.started, reverse=True)


def prune(parent: Path, keep: int = KEPT) -> None:
    """Delete all but the newest ``keep`` runs of those that are finished, and of those that could go on."""
    runs = idle_runs(parent)
    for old in [*[r for r in runs if r.finished][keep:], *[r for r in runs if not r.finished][keep:]]:
        discard(old.folder)


def discard(folder: Path) -> None:
    """Remove a job folder; one that is gone already, or whose files somebody holds, is no error."""
    with suppress(OSError):
        (folder / INFO).unlink()  # from here on it is no run, whatever can be deleted
    shutil.rmtree(folder, ignore_errors=True)


def new_info(scene: str, uid: str, blend: str, apply: bool, report_dir: str) -> RunInfo:
    """The info of a run that begins now."""
    return RunInfo(scene, uid, blend, time.time(), apply, report_dir)


def _last_words(folder: Path, done: float) -> tuple[float, bool]:
    """Share of the steps that are done (``done`` where nothing says), and whether the fit came to its end."""
    finished = False
    for message in _tail(folder / MESSAGES):
        if message.get("type") == "progress":
            done, finished = message["iteration"] / max(message["iterations"], 1), False
        elif message.get("type") == "result":
            finished = not message["cancelled"]
    return done, finished


def _tail(file: Path) -> list[dict[str, Any]]:
    try:
        with open(file, "rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL))
            lines = stream.read().split(b"\n")
    except OSError:
        return []
    messages = []
    for line in lines:
        with suppress(ValueError):  # the first and the last may be cut off
            message = json.loads(line)
            if isinstance(message, dict):
                messages.append(message)
    return messages
