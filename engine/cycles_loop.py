# SPDX-License-Identifier: GPL-3.0-or-later
"""Cycles in the loop: what our renderer leaves out is measured by Cycles itself and carried as a correction.

Now and then the scene as it stands is rendered by Cycles (few samples, denoised). The difference to our picture of the
same state is added to all our pictures until the next time: at convergence the compared picture is Cycles'. The
gradient stays that of our renderer, which need only point the right way.

Cycles' render compared with the photo is the true error. Where it rises although the fit goes on, the correction is
halved, and dropped the second time.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from .cycles_service import CyclesService, CyclesView
from .errors import LikenessError
from .losses import photo_loss
from .outcome import written_so_far
from .photo_masks import photo_aspect
from .photos import psnr
from .render import render_with
from .result import SCENE_TARGETS

if TYPE_CHECKING:
    from .fit import FitRun
    from .photo_views import Level

SAMPLES = 64  # of Cycles, before its denoiser
OUR_SAMPLES = 32
# Corrections are smooth where they matter; pictures for them are at most this large.
LARGEST = 256
# Standard deviation in pixels of the blur that keeps what is left of the noise out of the textures.
BLUR = 0.7
# A true error that is larger by this much has risen: less may be noise.
TOLERANCE = 1.05
# Stages that begin with a look at Cycles; in the long one there is another half way.
STAGES = ("light", "colours", "as paint", "shapes", "details", "polish")
TWICE = "details"


@dataclass(frozen=True)
class Correction:
    """What Cycles shows of a photo's view beyond our picture."""

    picture: torch.Tensor  # [H, W, 3], scene-linear, before the photo's gain
    brightness: float  # mean of our picture at that time


class CyclesLoop:
    """The corrections of a fit's photos."""

    def __init__(self, run: FitRun, service: CyclesService) -> None:
        self._run = run
        self._service = service
        self._corrections: list[Correction] = []  # one a photo
        self._first: list[Correction] = []  # those of the first look, at the scene as it was
        self._strength = 1.0
        self._errors: list[float] = []  # true errors so far
        self._scores: list[float] = []  # the same as PSNR of the displayed pictures, dB
        self._seen: tuple[int, int] = (-1, -1)  # stage and block of the last look

    def due(self, stage: int, block: int) -> bool:
        """Whether Cycles shall look before a block."""
        planned = self._run.stages[stage]
        half = planned.name == TWICE and planned.blocks > 1 and block == planned.blocks // 2
        wanted = (block == 0 and planned.name in STAGES) or half
        return wanted and self._strength > 0.0 and self._seen != (stage, block)

    def look(self, stage: int, block: int) -> Generator[None, None, None]:
        """Have Cycles render the present state and renew the corrections; yields while it waits."""
        self._seen = stage, block
        run = self._run
        levels = [self._level(index) for index in range(len(run.photos))]
        views = []
        for photo, level in zip(run.scene.photos, levels, strict=True):
            height, width = level.target.shape[:2]
            views.append(CyclesView(photo.camera, width, height, photo_aspect(run.scene, photo, width, height)))
        try:
            pictures = yield from self._service.render(written_so_far(run), views, SAMPLES, run.settings.seed)
        except LikenessError as error:
            self._drop(f"Cycles could not check the fit, which went on without it: {error}")
            return
        cycles = [torch.from_numpy(picture).to(run.device).nan_to_num(0.0, 0.0, 0.0) for picture in pictures]
        if not self._judge(cycles, levels):
            return
        corrections = []
        for level, picture in zip(levels, cycles, strict=True):
            yield
            corrections.append(self._measure(level, picture))
        self._corrections = corrections
        self._first = self._first or corrections

    def corrected(self, linear: torch.Tensor, index: int, at_start: bool = False) -> torch.Tensor:
        """Our picture [H, W, 3] of a photo, before its gain, as Cycles would show it. `at_start`: it shows the scene as
        it was before the fit."""
        if not self._corrections or self._strength <= 0.0:
            return linear
        chosen = (self._first if at_start else self._corrections)[index]
        correction = chosen.picture
        height, width = linear.shape[:2]
        if correction.shape[:2] != (height, width):
            planes = correction.permute(2, 0, 1)[None]
            smaller = height < correction.shape[0]
            planes = F.interpolate(planes, (height, width), mode="bilinear", antialias=smaller)
            correction = planes[0].permute(1, 2, 0)
        if any(kind in SCENE_TARGETS for kind in self._run.chosen):  # what light there is, is scattered
            brighter = float(linear.detach().mean()) / max(chosen.brightness, 1e-9)
            correction = correction * min(max(brighter, 0.25), 4.0)
        return (linear + self._strength * correction).clamp(min=0.0)

    def summary(self) -> str:
        """How Cycles' renders met the photos, "" before the first."""
        if not self._scores:
            return ""
        scores = ", ".join(f"{score:.1f}" for score in self._scores)
        return f"Cycles' own renders of the fit met the photos with {scores} dB."

    def close(self) -> None:
        """End the process that renders."""
        self._service.close()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {
            "corrections": [[one.picture.cpu(), one.brightness] for one in self._corrections],
            "first": [[one.picture.cpu(), one.brightness] for one in self._first],
            "strength": self._strength, "errors": list(self._errors), "scores": list(self._scores),
            "seen": list(self._seen),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        if not state:
            return
        self._corrections, self._first = (
            [Correction(picture.to(self._run.device), brightness) for picture, brightness in state[name]]
            for name in ("corrections", "first")
        )
        self._strength, self._errors, self._scores = state["strength"], list(state["errors"]), list(state["scores"])
        self._seen = state["seen"][0], state["seen"][1]

    def _level(self, index: int) -> Level:
        """The photo at the size of the corrections."""
        number = 0
        while max(self._run.photos[index].level(number).target.shape[:2]) > LARGEST:
            number += 1
        return self._run.photos[index].level(number)

    @torch.no_grad()
    def _judge(self, cycles: list[torch.Tensor], levels: list[Level]) -> bool:
        """Note the true error; whether corrections are still wanted."""
        run, errors, scores = self._run, [], []
        for index, (linear, level) in enumerate(zip(cycles, levels, strict=True)):
            shown = run.show(linear * run.parameters.photo_gain(index), index)
            wanted = run.wanted(level, index)
            errors.append(float(photo_loss(shown, wanted, level.weight)))
            picture, photo = (run.displayed(one, index).cpu().numpy() for one in (shown, wanted))
            scores.append(psnr(picture, photo, (level.weight > 0).float().cpu().numpy()))
        error = sum(errors) / len(errors)
        risen = bool(self._errors) and error > TOLERANCE * min(self._errors)
        self._errors.append(error)
        self._scores.append(sum(scores) / len(scores))
        if risen and self._strength < 1.0:
            self._drop("Cycles' renders moved away from the photos twice, so the fit went on without its corrections.")
        elif risen:
            self._strength = 0.5
        return self._strength > 0.0

    @torch.no_grad()
    def _measure(self, level: Level, cycles: torch.Tensor) -> Correction:
        run = self._run
        renderer = run.renderer
        renderer.light_color = run.parameters.light_color().detach()
        renderer.environment = run.parameters.environment().detach()
        film, seed = run.scene.film, run.settings.seed
        ours = render_with(renderer, level.projection, film, OUR_SAMPLES, False, seed)[..., :3]
        return Correction(_blurred(cycles - ours), float(ours.mean()))

    def _drop(self, why: str) -> None:
        self._strength = 0.0
        self._run.warnings.append(why)
        self._service.close()


def _blurred(image: torch.Tensor) -> torch.Tensor:
    """[H, W, C] under a Gaussian of BLUR pixels."""
    offsets = torch.arange(-2, 3, dtype=image.dtype, device=image.device)
    weights = torch.exp(-0.5 * (offsets / BLUR) ** 2)
    weights = weights / weights.sum()
    planes = F.pad(image.permute(2, 0, 1)[:, None], [2] * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, weights[None, None, :, None]), weights[None, None, None, :])
    return planes[:, 0].permute(1, 2, 0).contiguous()
