# SPDX-License-Identifier: GPL-3.0-or-later
"""How launches are cut into ranges."""

from __future__ import annotations

import pytest

from likeness.engine.ops.launch import owners, range_bounds


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 16, 64])
def test_no_two_threads_work_for_one_owner(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_THREADS", str(threads))
    for items in (1, 2, 31, 100, 511, 512, 513, 700, 1023, 1024, 5000, 99_991):
        parts = owners(items, "cpu")
        bounds = range_bounds(items * parts, "cpu")
        assert bounds[0] == 0
        assert bounds[-1] == items * parts
        assert all(bound % items == 0 for bound in bounds), (items, bounds)
    assert owners(5000, "cpu") == threads
    assert owners(5000, "cuda:0") == 1
    assert range_bounds(5000, "cuda:0") == [0, 5000]
