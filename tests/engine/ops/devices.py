# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices that every kernel test runs on, and the backends of the conformance tests; what the machine lacks is
skipped visibly."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]

_WITHOUT_NVDIFFRAST = not torch.cuda.is_available() or find_spec("nvdiffrast") is None
# (backend, device)
BACKENDS = [
    pytest.param("warp", "cpu"),
    pytest.param("warp", "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
    pytest.param(
        "nvdiffrast", "cuda", marks=pytest.mark.skipif(_WITHOUT_NVDIFFRAST, reason="no CUDA device with nvdiffrast")
    ),
]
