# SPDX-License-Identifier: GPL-3.0-or-later
"""Random materials under random lights, rendered by Cycles on the spot; benchmarks/random_materials.py has more."""

from __future__ import annotations

import pytest

from tests.scenes.random_scene import draw


@pytest.mark.parametrize("seed", range(6))
def test_mean_radiance_is_that_of_cycles(seed: int) -> None:
    one = draw(1000 + seed)
    assert max(one.noise, one.own_noise) < 3e-3
    assert one.error < 1e-2, one
