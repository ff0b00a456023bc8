# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a fit: coarse before fine, light before texture."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .result import CAMERA_TARGETS, MATERIAL_TARGETS, FitSettings

# Views keep their light samples for this many visits (fewer in short fits); then everything is gathered anew with
# other sub-pixel offsets.
MOST_VISITS = 4
COARSEST_TEXTURE = 32


@dataclass(frozen=True)
class Stage:
    """A run of iterations at one resolution. Step sizes fall from `step` to `last_step` along a half cosine."""

    name: str
    level: int  # photos are shrunk by 2^level
    texture_size: int
    step: float  # factor on the step sizes of fit.STEPS
    last_step: float
    blocks: int = 1
    visits: int = 1  # of every photo in a block
    decided: float = 1.0  # how much metallic is drawn to 0 and 1
    form: bool = True  # whether normal maps change
    metallic: float | None = None  # held at this value: a hypothesis, see hypotheses.py

    @property
    def work(self) -> float:
        """About how long a step takes, compared with one at full resolution."""
        return 0.1 + 0.9 * 0.25**self.level


def default_iterations(photos: int) -> int:
    """Enough visits for every photo without making many photos slow."""
    return min(max(165 * photos, 240), 1500)


def plan_stages(settings: FitSettings, photos: int, scene_free: bool) -> list[Stage]:
    """Stages whose blocks add up to about the wished number of iterations, at least one visit of each photo a stage.

    `scene_free`: light, world, exposure or white balance are fitted; they get a stage of their own before the textures.
    """
    iterations = settings.iterations or default_iterations(photos)
    epochs = iterations / photos
    size = settings.texture_size
    kinds = {target.kind for target in settings.targets} - set(CAMERA_TARGETS)
    if not kinds:  # cameras have their own, see solve/cameras.py
        return []
    form = kinds == {"normal"}  # with nothing else to explain the photos, there is nothing to wait for
    if not kinds & set(MATERIAL_TARGETS):
        light = [Stage("light", 1, size, 2.0, 0.5), Stage("light, fine", 0, size, 0.5, 0.1)]
        return _with_blocks(light, [0.5, 0.5], epochs)

    def texels(divisor: int) -> int:
        return max(min(COARSEST_TEXTURE, size), size // divisor)

    stages: list[Stage] = []
    shares: list[float] = []
    if scene_free:
        stages.append(Stage("light", 2, texels(32), 2.0, 1.0, form=form))
        shares.append(0.1)
    if {"base_color", "metallic"} <= kinds:
        stages.append(Stage("as paint", 1, texels(4), 2.0, 0.7, form=form, metallic=0.0))
        stages.append(Stage("as metal", 1, texels(4), 2.0, 0.7, form=form, metallic=1.0))
        shares += [0.15, 0.2]  # metals show a mirrored world: more to find out
    else:
        stages.append(Stage("colours", 2, texels(8), 2.0, 0.7, form=form))
        shares.append(0.15)
    stages += [
        Stage("shapes", 1, texels(4), 1.0, 0.6, decided=0.2),
        Stage("details", 0, texels(2), 0.6, 0.3),
        Stage("polish", 0, size, 0.25, 0.02),
    ]
    return _with_blocks(stages, [*shares, 0.25, 0.25, 0.25], epochs)


def _with_blocks(stages: list[Stage], shares: list[float], epochs: float) -> list[Stage]:
    """Divide `epochs` visits of every photo among the stages."""
    total = sum(shares)
    planned = []
    for stage, share in zip(stages, shares, strict=True):
        own = max(1, round(epochs * share / total))
        visits = min(MOST_VISITS, own)
        planned.append(replace(stage, blocks=max(1, round(own / visits)), visits=visits))
    return planned
