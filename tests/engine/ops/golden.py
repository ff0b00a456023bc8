# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored inputs, outputs and gradients of the nvdiffrast operations, and the rule by which to compare with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "data" / "golden"


def names(pattern: str) -> list[str]:
    found = sorted(path.stem for path in FOLDER.glob(f"{pattern}.npz"))
    assert found, f"no golden files {pattern}"
    return found


class Golden:
    """One file: tensors on a device, comparisons by array name."""

    def __init__(self, name: str, device: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as file:
            self.arrays = dict(file)
        self.device = device

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def text(self, name: str) -> str:
        return str(self.arrays[name])

    def tensor(self, name: str, grad: bool = False) -> torch.Tensor:
        return torch.tensor(self.arrays[name], device=self.device, requires_grad=grad)

    def optional(self, name: str, grad: bool = False) -> torch.Tensor | None:
        return self.tensor(name, grad) if name in self.arrays else None

    def compare(self, actual: torch.Tensor, name: str, mask: np.ndarray | None = None, like: str | None = None) -> None:
        """|actual - expected| <= tol + 1e-4 |expected|, for every element where the mask (if any) is 1."""
        expected = self.arrays[name].astype(np.float64)
        error = np.abs(actual.detach().cpu().numpy() - expected)
        limit = float(self.arrays[f"tol_{like or name}"]) + 1e-4 * np.abs(expected)
        if mask is not None:
            error, limit = error[mask == 1], limit[mask == 1]
        assert error.shape == limit.shape
        bad = ~(error <= limit)
        if bad.any():
            worst = np.nanmax(error / limit)
            pytest.fail(f"{name}: {bad.sum()} of {bad.size} elements differ, worst {worst:.3g} times the limit")
