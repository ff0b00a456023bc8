# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of docs/kernels.md: it is the file in examples/, and it finds the cube."""

from pathlib import Path

from likeness.examples import fit_cube

ROOT = Path(__file__).parents[3]


def test_documented_example_is_the_one_that_runs() -> None:
    _, code = (ROOT / "examples" / "fit_cube.py").read_text().split("\n", 1)
    assert code.strip() in (ROOT / "docs" / "kernels.md").read_text()


def test_cube_is_found() -> None:
    assert fit_cube.main(150) < 0.02  # of a side of 1, from 0.4 at the start
