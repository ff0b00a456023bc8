# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten tabletop scenes of everyday things: the engine's picture, with all light that it follows, against Cycles' full
light transport; no Cycles in the loop. ``python -m benchmarks.tabletop [name …]``"""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.scenes.tabletop import MEDIAN, TABLETOP, WORST

from .figures import Figure, at_least, note, show
from .references import Compared, compare

SIZE, SAMPLES = 96, 64


def pictures(name: str) -> Compared:
    """A scene by both."""
    return compare("tabletop", name, TABLETOP[name], False, SIZE, MEDIAN, SAMPLES)


def measure(names: list[str] | None = None) -> list[Figure]:
    """A figure a scene, their median and the worst."""
    figures, decibels = [], []
    for name in names or TABLETOP:
        start = time.perf_counter()
        both = pictures(name)
        decibels.append(both.decibels)
        what = f"{name} (Cycles' own noise at {both.noise:.0f} dB)"
        figures += show([at_least(what, both.decibels, WORST, "dB")])
        print(f"       {time.perf_counter() - start:.1f} s", flush=True)
    figures += show([at_least("median", float(np.median(decibels)), MEDIAN, "dB")])
    return figures + show([note("worst", f"{min(decibels):.1f} dB")])


if __name__ == "__main__":
    measure(sys.argv[1:])
