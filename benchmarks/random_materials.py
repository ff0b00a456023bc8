# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hundred balls of random Principled materials under random lights: the mean radiance of the engine's picture
against that of Cycles, without indirect light."""

from __future__ import annotations

import sys

import numpy as np

from tests.scenes.random_scene import LIGHTS, Draw, draw

from .figures import Figure, at_most, note, show

DRAWS = 200
WORST = 1.0  # % wanted
NOISE = 0.2  # % that either mean may be off


def described(one: Draw) -> str:
    """A material in one line."""
    values = {
        key: np.round(value, 2).tolist() if not isinstance(value, str) else value for key, value in one.look.items()
    }
    return f"{one.kind} {values}"


def measure(numbers: list[str] | None = None) -> list[Figure]:
    """Figures over all draws, or over those whose ``numbers`` are given."""
    draws = []
    for seed in map(int, numbers) if numbers else range(DRAWS):
        one = draw(seed)
        if max(one.noise, one.own_noise) > NOISE / 100:  # sharp highlights take more
            one = draw(seed, samples=8192)
        draws.append(one)
        if one.error > WORST / 100 or numbers:
            print(
                f"  draw {seed}: {100 * one.error:.2f} %, noise {100 * one.noise:.2f} %, {described(one)}", flush=True
            )
    errors = np.array([100 * one.error for one in draws])
    figures = [at_most(f"largest error of a mean, {len(draws)} draws", errors.max(), WORST, "%", 2)]
    figures.append(note("median error", f"{np.median(errors):.2f} %"))
    for kind in LIGHTS:
        chosen = [100 * one.error for one in draws if one.kind == kind]
        if chosen:
            figures.append(note(f"largest error under {kind.lower()}", f"{max(chosen):.2f} % of {len(chosen)}"))
    figures.append(note("largest noise of Cycles' means", f"{100 * max(one.noise for one in draws):.2f} %"))
    figures.append(note("largest noise of the engine's means", f"{100 * max(one.own_noise for one in draws):.2f} %"))
    return show(figures)


if __name__ == "__main__":
    measure(sys.argv[1:])
