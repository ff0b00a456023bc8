# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are never lost: kill -9 on either side, pause, cancel within a second, and what is found afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from likeness.engine.client import Worker
from likeness.engine.errors import CancelledError, LikenessError
from likeness.engine.job import CHECKPOINT, load_result
from likeness.engine.locks import FileLock, is_locked
from likeness.engine.result import FitResult, Progress
from likeness.engine.runs import LOCK, RunInfo, find_run, idle_runs, prune, settle, write_info
from tests.engine.test_worker import LONG, ROOT, drive, make_job


def until(worker: Worker, steps: int) -> list[Progress]:
    """Messages until ``steps`` progress messages have come."""
    seen = []
    for progress in worker.wait(0.02):
        if progress is not None:
            seen.append(progress)
        if len(seen) >= steps:
            break
    return seen


def fitted(job: Path) -> np.ndarray:
    return load_result(job).images[0].pixels


def test_pause_waits_between_two_steps(tmp_path: Path) -> None:
    worker = Worker(sys.executable, make_job(tmp_path, LONG))
    until(worker, 2)
    worker.pause()
    deadline = time.monotonic() + 10
    while not worker.paused and time.monotonic() < deadline:
        worker.poll()
    assert worker.paused
    worker.poll()
    time.sleep(1.0)
    assert worker.poll() == []
    worker.go_on()
    before = worker.iterations
    after = until(worker, 2)
    assert after[0].iteration == before + 1
    assert not worker.paused
    # a second of waiting is no reason to expect the fit to take longer
    assert after[0].rate > 0.5 * (after[1].rate + 1e-9)
    worker.pause()
    worker.abort()
    with pytest.raises(CancelledError):
        until(worker, LONG)
    worker.close()


def test_cancel_within_a_second_keeps_the_checkpoint(tmp_path: Path) -> None:
    job = make_job(tmp_path, LONG)
    worker = Worker(sys.executable, job)
    until(worker, 3)
    began = time.monotonic()
    worker.abort()
    with pytest.raises(CancelledError):
        until(worker, LONG)
    assert time.monotonic() - began < 1.0
    worker.close()
    assert (job / CHECKPOINT).is_file()
    assert not (job / "result.json").exists()
    kept = Worker(sys.executable, job, keep=True)
    drive(kept)
    assert kept.cancelled
    assert 0 < load_result(job).iterations < 1000


def test_kill_minus_nine_and_resume_end_where_an_undisturbed_fit_does(tmp_path: Path) -> None:
    """To the last bit, on the CPU."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, killed = make_job(tmp_path / "whole", 80), make_job(tmp_path / "killed", 80)
    drive(Worker(sys.executable, whole))
    worker = Worker(sys.executable, killed)
    until(worker, 30)
    worker.abort()  # a checkpoint in the middle
    with pytest.raises(CancelledError):
        until(worker, LONG)
    worker.close()
    worker = Worker(sys.executable, killed, resume=True)
    until(worker, 3)
    os.kill(worker.process.pid, signal.SIGKILL)
    with pytest.raises(LikenessError, match=r"killed \(signal 9\).*go on"):
        until(worker, LONG)
    worker.close()
    again = Worker(sys.executable, killed, resume=True)
    drive(again)
    assert np.array_equal(fitted(killed), fitted(whole))
    assert load_result(killed).history == load_result(whole).history


def test_a_parent_that_is_killed_leaves_a_run_that_is_found(tmp_path: Path) -> None:
    job = make_job(tmp_path, LONG)
    write_info(job, RunInfo("Scene", "uid", "/work/pot.blend", 1.0))
    program = (
        "import sys\nfrom pathlib import Path\nimport likeness\n"
        "from likeness.engine.client import Worker\nfrom likeness.engine.locks import FileLock\n"
        f"job = Path({str(job)!r})\nassert FileLock(job / 'run.lock').acquire()\n"
        "worker = Worker(sys.executable, job)\n"
        "for progress in worker.wait():\n"
        "    if progress is not None and progress.iteration == 5: print(worker.process.pid, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert is_locked(job / LOCK)
        assert idle_runs(tmp_path) == []
        parent.kill()
    # at once, while the old worker may still be writing
    (found,) = idle_runs(tmp_path)
    assert found.info.scene == "Scene"
    worker = Worker(sys.executable, job, resume=True)
    assert until(worker, 1)[0].iteration > 1
    worker.abort()
    with pytest.raises(CancelledError):
        until(worker, LONG)
    worker.close()
    (found,) = idle_runs(tmp_path)
    assert found.has_checkpoint
    assert found.sentence().startswith('The fit of pot.blend, scene "Scene", was interrupted at ')


def _run(folder: Path, started: float, finished: bool) -> Path:
    folder.mkdir()
    write_info(folder, RunInfo("Scene", "", "", started))
    (folder / CHECKPOINT).write_bytes(b"")
    if finished:
        (folder / "result.json").write_text("{}")
        (folder / "messages.jsonl").write_text('{"type": "result", "cancelled": false}\n')
    else:
        (folder / "messages.jsonl").write_text(
            '{"type": "progress", "iteration": 43, "iterations": 100}\n{"type": "progr'  # cut off in the middle
        )
    return folder


def test_what_is_found_and_what_is_kept(tmp_path: Path) -> None:
    for number in range(4):
        _run(tmp_path / f"done{number}", number, True)
        _run(tmp_path / f"open{number}", 10 + number, False)
    (tmp_path / "stray").mkdir()
    broken = _run(tmp_path / "broken", 99, True)
    (broken / "run.json").write_text("{")
    held = FileLock(tmp_path / "open0" / LOCK)
    assert held.acquire()
    assert not FileLock(tmp_path / "open0" / LOCK).acquire()
    prune(tmp_path, keep=2)
    left = [run.folder.name for run in idle_runs(tmp_path)]
    assert left == ["open3", "open2", "done3", "done2"]
    assert (tmp_path / "open0").is_dir(), "somebody runs it"
    held.release()
    run = find_run(tmp_path / "open0")
    assert run is not None
    assert run.sentence() == 'The fit of an unsaved file, scene "Scene", was interrupted at 43%'
    settle(tmp_path / "done3")
    run = find_run(tmp_path / "done3")
    assert run is not None
    assert run.finished
    assert run.info.settled


def test_a_lock_waits_for_its_holder(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire(patience=0.1)
    first.release()
    first.release()
    assert second.acquire()
    second.release()
    assert not is_locked(tmp_path / "lock")
    assert FileLock(tmp_path / "gone" / "lock").acquire()


def test_the_result_of_a_run_is_read_on_demand(tmp_path: Path) -> None:
    worker = Worker(sys.executable, make_job(tmp_path, 4))
    drive(worker)
    assert worker.ended
    assert isinstance(worker.result, FitResult)
    assert Path(worker.report).is_file()
    assert sorted(worker.previews) == [0]
