# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the report that are not photos or renders: differences, coverage, textures, environments."""

from __future__ import annotations

import numpy as np

from .color import srgb_encode
from .result import FittedImage

# Colour maps as sRGB colours at equal steps, read off matplotlib's inferno and viridis (public domain, CC0).
_INFERNO = ("000004", "1b0c41", "4a0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9b06", "f7d13d", "fcffa4")
_VIRIDIS = ("440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725")
DIFFERENCE_GAIN = 4.0
# where the mask is black, and texels that no photo saw
_NOTHING = 0.5
_UNSEEN = (0.16, 0.16, 0.18)


def _mapped(values: np.ndarray, anchors: tuple[str, ...]) -> np.ndarray:
    """[...] in 0 … 1 to colours [..., 3]."""
    colours = np.array([[int(anchor[i : i + 2], 16) / 255 for i in (0, 2, 4)] for anchor in anchors])
    steps = np.linspace(0, 1, len(anchors))
    values = np.clip(np.nan_to_num(values, nan=1.0), 0, 1)
    return np.stack([np.interp(values, steps, channel) for channel in colours.T], -1)


def difference_gradient() -> str:
    """The colour scale of differences as a CSS gradient from left to right."""
    return "linear-gradient(to right, " + ", ".join(f"#{anchor}" for anchor in _INFERNO) + ")"


def coverage_gradient() -> str:
    """The colour scale of coverage as a CSS gradient from left to right."""
    return "linear-gradient(to right, " + ", ".join(f"#{anchor}" for anchor in _VIRIDIS) + ")"


def difference_picture(photo: np.ndarray, render: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Largest channel's absolute difference times DIFFERENCE_GAIN as colours [H, W, 3]; grey where the mask is 0."""
    difference = np.abs(np.asarray(render, np.float32) - photo).max(-1)
    picture = _mapped(difference * DIFFERENCE_GAIN, _INFERNO)
    if mask is not None:
        picture = np.where((mask > 0)[..., None], picture, _NOTHING)
    return picture


def coverage_picture(coverage: np.ndarray) -> tuple[np.ndarray, float]:
    """Colours [H, W, 3] for how well texels were seen, dark grey for never, and the share that was seen at all."""
    seen = coverage > 0
    if not seen.any():
        return np.broadcast_to(np.array(_UNSEEN), (*coverage.shape, 3)), 0.0
    # The root spreads the low end, where it is decided whether a texel is known; the top percent is left out
    scale = np.percentile(coverage[seen], 99)
    picture = _mapped(np.sqrt(coverage / scale), _VIRIDIS)
    return np.where(seen[..., None], picture, _UNSEEN), float(seen.mean())


def texture_picture(image: FittedImage) -> np.ndarray:
    """A fitted texture as display values [H, W, 1 or 3]; HDR values (emission) are brought into range."""
    if image.encoding == "linear" and image.bits == 32:
        return radiance_picture(image.pixels)[0]
    return image.pixels


def radiance_picture(pixels: np.ndarray) -> tuple[np.ndarray, float]:
    """Radiance [H, W, C] as display values, and the radiance that is shown white: the brightest but for 1 %."""
    finite = np.nan_to_num(np.asarray(pixels, np.float32), nan=0.0, posinf=0.0)
    white = float(np.percentile(finite, 99)) or float(finite.max()) or 1.0
    return srgb_encode(np.clip(finite / white, 0, 1)), white


def shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    """``pixels`` [H, W, C] averaged over whole blocks until no side is longer than ``side``."""
    factor = -(-max(pixels.shape[:2]) // side)
    if factor <= 1:
        return pixels
    height, width = (length // factor for length in pixels.shape[:2])
    if not height or not width:
        return pixels
    blocks = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return blocks.mean((1, 3))
