# SPDX-License-Identifier: GPL-3.0-or-later
"""A view transform's tone curve: what it does to grey, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ToneCurve:
    """Strictly rising pairs of radiance and display value; linear in log2(radiance) in between.

    Applied to each channel alone it is exact on grey, and near enough on colours to undo a picture, average it and do
    it again.
    """

    radiance: np.ndarray  # [N] float64
    display: np.ndarray  # [N] float64

    @classmethod
    def of(cls, radiance: np.ndarray, display: np.ndarray) -> ToneCurve:
        """From samples of a curve, whose flat (or falling) parts are left out."""
        highest = np.maximum.accumulate(display)
        # the end of a flat start, the begin of a flat end: the radiances next to those that matter
        rising = np.append(highest[1:] > highest[:-1], False) | np.append(False, highest[1:] > highest[:-1])
        radiance, highest = radiance[rising], highest[rising]
        display, first = np.unique(highest, return_index=True)
        return cls(radiance[first].astype(np.float64), display.astype(np.float64))

    def decode(self, display: np.ndarray) -> np.ndarray:
        """Radiance of a grey that is shown as ``display`` (any shape); values beyond the ends get the ends'."""
        return np.exp2(np.interp(display, self.display, np.log2(self.radiance)))

    def encode(self, radiance: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`decode`."""
        return np.interp(np.log2(np.maximum(radiance, self.radiance[0])), np.log2(self.radiance), self.display)
