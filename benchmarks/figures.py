# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark reports, and small things that several of them need."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "benchmarks"
OUTPUT = ROOT / "out" / "benchmarks"


@dataclass
class Figure:
    """One line of the table: what was measured, what is wanted, what came out; ``met`` None where nothing is asked."""

    what: str
    wanted: str
    measured: str
    met: bool | None = None


@dataclass
class Run:
    """A command that has ended: wall-clock seconds and the largest resident memory of it or a child, in GiB."""

    seconds: float
    peak_gib: float


def at_least(what: str, measured: float, wanted: float, unit: str, digits: int = 1) -> Figure:
    """A figure that must not be below ``wanted``."""
    return Figure(what, f">= {wanted:g} {unit}", f"{measured:.{digits}f} {unit}", measured >= wanted)


def at_most(what: str, measured: float, wanted: float, unit: str, digits: int = 1) -> Figure:
    """A figure that must not be above ``wanted``."""
    return Figure(what, f"<= {wanted:g} {unit}".rstrip(), f"{measured:.{digits}f} {unit}".rstrip(), measured <= wanted)


def note(what: str, measured: str) -> Figure:
    """A figure for information."""
    return Figure(what, "", measured)


def show(figures: Sequence[Figure]) -> list[Figure]:
    """Print the figures as they come; returns them."""
    for figure in figures:
        verdict = {True: "ok  ", False: "MISS", None: "    "}[figure.met]
        wanted = f"   (wanted {figure.wanted})" if figure.wanted else ""
        print(f"{verdict} {figure.what}: {figure.measured}{wanted}", flush=True)
    return list(figures)


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Decibels (peak 1) between pictures [H, W, C], over the pixels of a boolean ``mask`` [H, W] where given."""
    difference = (a - b) if mask is None else (a - b)[mask]
    return float(-10.0 * np.log10(np.mean(np.square(difference, dtype=np.float64)) + 1e-12))


def run(command: Sequence[str]) -> Run:
    """Run a command to its end; raises CalledProcessError with its exit code."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Run(time.perf_counter() - start, usage.ru_maxrss / 2**20)
