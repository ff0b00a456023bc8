# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running fit looks like: pictures of a photo and of its fit, as files that Blender shows over the camera view.

``preview/003.npy`` holds uint8 ``[2 or 3, H, W, 4]``, display-referred, row 0 at the bottom: the photo, the fit and,
after the end, the render before it. Alpha is 0 where nothing is known yet. Whoever reads one finds a whole file.

The fit renders the photo that it visits anyway; that picture is shown where it exists. Where the fit looks at a part of
the photo only (masks, surfaces that stay as they are), the rest is rendered for the preview, at most for one
part in twenty of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import atomic_path

if TYPE_CHECKING:
    import torch

    from .fit import FitRun
    from .result import FitResult

FOLDER = "preview"
INTERVAL = 1.5  # seconds between two pictures
SHARE = 0.04  # of the time that may go into rendering for the preview alone
ALL, NONE = 255, 0


def preview_path(folder: Path, index: int) -> Path:
    """Where the pictures of the fit's photo number ``index`` lie."""
    return folder / FOLDER / f"{index:03d}.npy"


def write_preview(folder: Path, index: int, *pictures: np.ndarray) -> Path:
    """Write display values [H, W, 3 or 4] (photo, fit, before) of a photo in one step. Raises OutputError."""
    path = preview_path(folder, index)
    path.parent.mkdir(exist_ok=True)
    stack = np.full((len(pictures), *pictures[0].shape[:2], 4), ALL, np.uint8)
    for picture, stored in zip(pictures, stack, strict=True):
        values = np.nan_to_num(picture, nan=0.0).clip(0.0, 1.0)
        stored[..., : picture.shape[2]] = values * 255.0 + 0.5
    with atomic_path(path) as temporary:
        np.save(temporary, stack)
    return path


def write_results(folder: Path, result: FitResult) -> None:
    """Write the pictures of all photos after the end of a fit. Raises OutputError."""
    for index, photo in enumerate(result.photos):
        write_preview(folder, index, photo.photo, photo.after, photo.before)


class LivePreview:
    """Watches a fit and writes pictures of one photo; ``photo`` may be changed at any time, from any thread.

    ``announce`` is called after each file with the photo's ``index``, ``photo`` and ``camera`` names, and the ``width``
    and ``height`` of its file, whose aspect the pictures have but for rounding.
    """

    def __init__(self, folder: Path, announce: Callable[..., None], photo: str = "") -> None:
        self.photo = photo
        self.spent = 0.0  # seconds that went into previews
        self._folder, self._announce = folder, announce
        self._began = time.monotonic()
        self._due = 0.0
        self._shown: tuple[int, int] | None = None  # photo and level of the canvas
        self._canvas: torch.Tensor | None = None
        self._rendered = -1e9  # when the canvas was rendered as a whole
        self._cost = 0.0  # seconds a pixel of doing so

    def __call__(self, run: FitRun, index: int, shown: torch.Tensor) -> None:
        """The fit has visited photo ``index`` and rendered ``shown`` [H, W, 3], in the photo's domain."""
        began = time.monotonic()
        names = [photo.name for photo in run.scene.photos]
        if index != (names.index(self.photo) if self.photo in names else 0):
            return
        changed = self._shown is None or self._shown[0] != index
        if began < self._due and not changed:
            return
        level = run.photos[index].level(run.level)
        picture = shown.detach()
        if level.wanted is not None:
            picture = self._whole(run, index, picture, level.weight > 0)
        self._shown = index, run.level
        photo = run.scene.photos[index]
        target, fitted = (run.displayed(part, index).cpu().numpy() for part in (run.wanted(level, index), picture))
        write_preview(self._folder, index, target, fitted)
        width, height = photo.full_size or (picture.shape[1], picture.shape[0])
        self._announce(index=index, photo=photo.name, camera=photo.camera, width=width, height=height)
        ended = time.monotonic()
        self.spent += ended - began
        self._due = began + INTERVAL

    def _whole(self, run: FitRun, index: int, shown: torch.Tensor, fresh: torch.Tensor) -> torch.Tensor:
        """``shown`` where it is ``fresh`` [H, W], a render of the whole photo elsewhere."""
        began = time.monotonic()
        new = self._canvas is None or self._shown != (index, run.level)
        # the light of this very moment is worth a render where the last one is cheap or long ago
        afford = SHARE * (began - self._began) > self.spent + self._cost * fresh.numel()
        if new or (afford and began - self._rendered > INTERVAL):
            self._canvas = run.whole_picture(index)
            self._rendered = time.monotonic()
            self._cost = (self._rendered - began) / fresh.numel()
        assert self._canvas is not None
        self._canvas = self._canvas.where(~fresh[..., None], shown)
        return self._canvas
