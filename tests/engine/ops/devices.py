# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that every kernel test runs on; without a GPU the CUDA half is skipped visibly."""

from __future__ import annotations

import pytest
import torch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]
