# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB transfer function (IEC 61966-2-1) for NumPy arrays and torch tensors."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

Array = TypeVar("Array", np.ndarray, Any)  # np.ndarray or torch.Tensor


def srgb_encode(linear: Array) -> Array:
    """Linear Rec.709 to sRGB-encoded values. Below zero the linear part goes on; nothing is clipped."""
    # the power is kept away from 0, where its slope is infinite and would turn a gradient into NaN
    if isinstance(linear, np.ndarray):
        return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return curve.where(linear > 0.0031308, 12.92 * linear)


def srgb_decode(encoded: Array) -> Array:
    """sRGB-encoded values to linear Rec.709; the inverse of :func:`srgb_encode`."""
    if isinstance(encoded, np.ndarray):
        return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4)
    curve = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return curve.where(encoded > 0.04045, encoded / 12.92)
