# SPDX-License-Identifier: GPL-3.0-or-later
"""Who does the work: Likeness's own kernels, or nvdiffrast's where somebody has installed it."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import torch
import warp as wp

BACKENDS = ("warp", "nvdiffrast")
_LICENCE = (
    "nvdiffrast is under NVIDIA's Source Code License, which allows research and evaluation only, no commercial use; "
    "it is not part of Likeness."
)
_logger = logging.getLogger(__name__)
_log_level = 1


def backend(name: str = "warp") -> Any:
    """The ops as a namespace: ``ops = backend("warp")``, then ``ops.rasterize(ops.RasterizeContext(), …)``.

    "warp" is this package, on CPU and CUDA. "nvdiffrast" is nvdiffrast's torch module with the same names, on CUDA; its
    licence is logged as a warning. Raises ValueError for another name, RuntimeError that says what is missing.
    """
    if name not in BACKENDS:
        raise ValueError(f"name must be one of {', '.join(BACKENDS)}, not {name!r}")
    if name == "warp":
        return import_module(__package__)
    if not torch.cuda.is_available():
        raise RuntimeError("The backend nvdiffrast needs a CUDA device and a CUDA build of torch")
    try:
        module = import_module("nvdiffrast.torch")
    except ImportError as error:
        raise RuntimeError(
            "The backend nvdiffrast needs the Python package nvdiffrast, which is not installed"
        ) from error
    _logger.warning(_LICENCE)
    return _Nvdiffrast(module)


class _Nvdiffrast:
    """nvdiffrast's module, with the name that Likeness gives to the context."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, "RasterizeCudaContext" if name == "RasterizeContext" else name)


def set_log_level(level: int) -> None:
    """How much the ops tell: 0 everything (Warp says which kernels it compiles), 1 warnings, 2 errors, 3 nothing.

    As in nvdiffrast; 1 at the start.
    """
    global _log_level
    if level not in (0, 1, 2, 3):
        raise ValueError(f"level must be 0, 1, 2 or 3, not {level!r}")
    _log_level = int(level)
    _logger.setLevel((logging.DEBUG, logging.WARNING, logging.ERROR, logging.CRITICAL + 1)[_log_level])
    wp.config.log_level = (wp.LOG_INFO, wp.LOG_ERROR, wp.LOG_ERROR, wp.LOG_ERROR)[_log_level]


def get_log_level() -> int:
    """The level set by :func:`set_log_level`."""
    return _log_level
