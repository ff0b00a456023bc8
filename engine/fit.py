# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit: a generator that changes the free parameters until the render looks like the photos.

Work is done in *blocks* (stages.py). At the start of a block the light samples of all photos are dropped, and each is
gathered anew when its photo is first visited, from the scene as it was at the start of the block. A block is thus a
function of the state at its start and of the seed, which makes a resumed fit end exactly where an uninterrupted one
does: checkpoints hold the state at the start of a block.
"""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import torch

from . import hypotheses
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .color import ViewTransform
from .cycles_loop import CyclesLoop
from .cycles_service import CyclesService
from .errors import CancelledError, DivergedError, LikenessError
from .first_guess import balance_light
from .job import CHECKPOINT
from .losses import material_prior, photo_loss, scene_prior
from .outcome import build_result, coverage_weights
from .parameters import Parameters, names_by_kind
from .photo_masks import apply_object_masks
from .photo_views import CachedView, Level, PhotoPyramid, ViewCache, predict
from .photos import load_photo
from .preflight import preflight
from .render import Renderer, resolve_device
from .result import SCENE_TARGETS, FitResult, FitSettings, Progress
from .scene import Scene
from .shading.gather import SampleCounts
from .shading.paths import World
from .solve.cameras import Cameras, find_cameras
from .stages import Stage, plan_stages

# Light samples a pixel: for each light with a size, for an environment image, by the BSDF; reflections followed before
# the radiance cache takes over.
COUNTS = SampleCounts(light=4, environment=4, bsdf=8)
# Pixels of all photos to a path of the radiance cache, within limits.
CACHE_PIXELS = 8
# Of surfaces whose material is known, light is fitted to one square of pixels in this many.
BLOCKS = 8
# Adam step sizes in the parameters' own units (stored texture values, logarithms, stops) at Stage.step = 1.
STEPS = {"textures": 0.02, "light_log": 0.04, "environment_log": 0.06, "strength_log": 0.04, "exposure": 0.02,
         "white_balance_log": 0.01}  # fmt: skip
CHECKPOINT_SECONDS = 30.0
# The same where a picture is only looked at while the fit goes on.
QUICK = SampleCounts(light=2, environment=2, bsdf=4, bounces=1)


def fit(
    scene: Scene,
    settings: FitSettings,
    run_dir: Path | None = None,
    resume: bool = False,
    watch: Callable[[FitRun, int, torch.Tensor], None] | None = None,
) -> Generator[Progress, None, FitResult]:
    """Fit the targets of `settings` to the enabled photos of `scene`; yields Progress, returns the FitResult.

    `watch` is given each picture that the fit renders, and the number of its photo: see preview.LivePreview.

    Throw CancelledError into the generator to stop: it saves a checkpoint into `run_dir` and returns what was reached.
    With `resume` it goes on from the checkpoint in `run_dir`. Raises named errors of errors.py for bad input, and
    DivergedError when the loss stops being a number (the last good state is in the checkpoint).
    """
    started = time.monotonic()
    scene, settings, warnings = preflight(scene, settings)
    transform = ViewTransform(scene.view, resolve_device(settings.device))
    for photo in scene.photos:
        warnings += load_photo(photo, settings.resolution, transform.tone_curve)
    set_up = time.monotonic() - started
    cameras = yield from find_cameras(scene, settings, transform, run_dir, resume)
    run = FitRun(cameras.scene, settings, run_dir, transform)
    run.cameras, run.watch = cameras, watch
    run.warnings = warnings + cameras.warnings
    run.ask_cycles()
    if resume and run_dir is not None and (not cameras.free or (run_dir / CHECKPOINT).is_file()):
        run.restore(load_checkpoint(run_dir, run.fingerprint()))
    run.seconds["set-up"] = run.seconds.get("set-up", 0.0) + set_up
    cancelled = cameras.cancelled
    try:
        if not cancelled:
            yield from run.steps()
    except (CancelledError, KeyboardInterrupt):
        cancelled = True
        run.save()
    except GeneratorExit:
        run.save()
        raise
    finally:
        if run.cycles is not None:
            run.cycles.close()
    return build_result(run, cancelled)


class FitRun:
    """State of a fit in progress."""

    def __init__(
        self, scene: Scene, settings: FitSettings, run_dir: Path | None, view_transform: ViewTransform
    ) -> None:
        self.scene, self.settings, self.run_dir = scene, settings, run_dir
        self.device = resolve_device(settings.device)
        self.renderer = Renderer(scene, self.device)
        apply_object_masks(self.renderer)
        self.photos = [PhotoPyramid(scene, photo, self.device) for photo in scene.photos]
        self.chosen = names_by_kind(settings.targets)
        scene_free = any(kind in SCENE_TARGETS for kind in self.chosen)
        self.stages = plan_stages(settings, len(self.photos), scene_free)
        first_size = self.stages[0].texture_size if self.stages else settings.texture_size
        self.parameters = Parameters.of(self.renderer, self.chosen, first_size)
        self.renderer.bank.bundles = self.parameters.bundles
        fitted = {bundle.material for bundle in self.parameters.bundles}
        rows = {row for row, material in enumerate(self.renderer.bank.materials) if material.name in fitted}
        for photo in self.photos:
            photo.restrict(self.renderer, rows, {stage.level for stage in self.stages}, BLOCKS if scene_free else 0)
        self.view_transform = view_transform
        self.cache = ViewCache(self.renderer, self.photos, COUNTS)
        self.cycles: CyclesLoop | None = None
        self.history: list[tuple[int, str, float]] = []
        self.warnings: list[str] = []
        self.cameras = Cameras(scene)
        self.watch: Callable[[FitRun, int, torch.Tensor], None] | None = None
        self.seconds: dict[str, float] = {}
        self.iteration = 0
        self.iterations = sum(stage.blocks * stage.visits for stage in self.stages) * len(self.photos)
        self.gauge = self._gauge()
        balance_light(self)
        self._stage = self._block = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._last_good: Checkpoint | None = None
        self._saved = time.monotonic()
        self._saving = threading.Lock()

    def _gauge(self) -> bool:
        """Whether nothing in the scene tells light from albedo: every light is free and so is every base colour."""
        albedo_free = set(self.chosen.get("base_color", []))
        known = {name for mesh in self.scene.meshes for name in mesh.material_names} - albedo_free
        return bool(albedo_free) and self.parameters.light_is_free(self.scene) and not known

    def fingerprint(self) -> dict[str, object]:
        """What must be equal for a checkpoint to be of use."""
        return {
            "targets": [str(target) for target in self.settings.targets],
            "iterations": self.iterations,
            "resolution": self.settings.resolution,
            "texture_size": self.settings.texture_size,
            "seed": self.settings.seed,
            "cycles": self.settings.cycles,
            "photos": [photo.name or photo.path for photo in self.scene.photos],
        }

    def ask_cycles(self) -> None:
        """Have Cycles look at the fit now and then, where that is wanted and the job folder says how."""
        if not self.settings.cycles:
            return
        try:
            if self.run_dir is None:
                raise LikenessError("the fit has no job folder")
            self.cycles = CyclesLoop(self, CyclesService(self.run_dir))
        except LikenessError as error:
            self.warnings.append(f"Cycles cannot check the fit, which goes on without it: {error}.")

    def _let_cycles_look(self, clock: _Clock) -> Generator[Progress, None, None]:
        """At the start of a block, when it is time."""
        if self.cycles is None or not self.cycles.due(self._stage, self._block):
            return
        loss = self.history[-1][2] if self.history else math.nan
        with clock.stopped():
            for _ in self.cycles.look(self._stage, self._block):
                yield Progress(self.iteration, self.iterations, "Cycles looks at it", loss, 0.0, math.nan)

    def steps(self) -> Generator[Progress, None, None]:
        """All remaining blocks."""
        clock, done_before = _Clock(), self._work_done()
        total = sum(stage.blocks * stage.visits * stage.work for stage in self.stages) * len(self.photos)
        while self._stage < len(self.stages):
            stage = self.stages[self._stage]
            stage_began = clock.seconds()
            if self._block == 0 and self._optimizer is None:
                self._enter(stage)
            if self._optimizer is None:
                self._optimizer = self._make_optimizer()
            while self._block < stage.blocks:
                yield from self._let_cycles_look(clock)
                self._keep()
                for inside, loss in enumerate(self._run_block(stage), 1):
                    self.iteration += 1
                    self.history.append((self.iteration, stage.name, loss))
                    # stages differ in the size of their pictures, so it is work that goes on evenly, not steps
                    done = self._work_done(inside)
                    speed = (done - done_before) / max(clock.seconds(), 1e-6)
                    left = (total - done) / max(speed, 1e-6)
                    count, counts = self.cameras.steps + self.iteration, self.cameras.steps + self.iterations
                    progress = Progress(count, counts, stage.name, loss, speed / stage.work, max(left, 0.0))
                    with clock.stopped():  # whoever drives the fit may let it wait
                        yield progress
                self._block += 1
            self._leave(stage)
            self.seconds[stage.name] = self.seconds.get(stage.name, 0.0) + clock.seconds() - stage_began
            self._stage, self._block, self._optimizer = self._stage + 1, 0, None

    def world(self, seed: int, environment_fixed: bool = False) -> World:
        """The scene as rays see it at this moment, reflected light included; see Renderer.world."""
        world = self.renderer.world(environment_fixed)
        projections = [photo.level(self.level).projection for photo in self.photos]
        pixels = sum(projection.width * projection.height for projection in projections)
        self.renderer.remember_light(world, projections, min(max(pixels // CACHE_PIXELS, 2048), 8192), seed)
        return world

    def _work_done(self, inside: int = 0) -> float:
        """Work of all steps so far, `inside` of them in the current block, see Stage.work."""
        past = sum(stage.blocks * stage.visits * stage.work for stage in self.stages[: self._stage])
        if self._stage == len(self.stages):
            return past * len(self.photos)
        stage = self.stages[self._stage]
        return (past + self._block * stage.visits * stage.work) * len(self.photos) + inside * stage.work

    @property
    def level(self) -> int:
        """By which power of two photos are shrunk at present."""
        return self.stages[self._stage].level

    def _enter(self, stage: Stage) -> None:
        """Textures of the stage's size; what no photo sees is filled from what they see."""
        if any(name.startswith("metal") for name in self.parameters.memory):
            hypotheses.decide(self.parameters, self.settings.seed)
        self.parameters.enlarge(stage.texture_size, coverage_weights(self))
        if stage.metallic is not None:
            if stage.metallic > 0:
                hypotheses.restart(self.parameters)
            hypotheses.hold(self.parameters, stage.metallic)

    def _leave(self, stage: Stage) -> None:
        """After a hypothesis: how well does it explain each texel?"""
        if stage.metallic is None:
            return
        residuals = hypotheses.Residuals(self.parameters, self.device)
        with torch.no_grad():
            world = self.world(977)
            for index, photo in enumerate(self.photos):
                level = photo.level(stage.level)
                shown = torch.zeros_like(level.target)
                for repeat in range(hypotheses.REPEATS):  # noise would drown the difference
                    self.cache.clear()
                    cached = self.cache.get(index, stage.level, (0.0, 0.0), world, 977 * repeat + index)
                    shown += self._predicted(cached, index) / hypotheses.REPEATS
                residuals.add(
                    self.renderer, cached, (shown - self.wanted(level, index)).square().mean(-1), level.weight
                )
        residuals.remember("metal" if stage.metallic > 0 else "paint")

    def _make_optimizer(self) -> torch.optim.Optimizer:
        groups = [{"params": [bundle.data], "base": STEPS["textures"]} for bundle in self.parameters.bundles]
        groups += [{"params": [t], "base": STEPS[name]} for name, t in self.parameters.scene_tensors().items()]
        # Gradients of single texels are tiny (a mean over all pixels), so eps must be tinier.
        return torch.optim.Adam(groups, lr=1e-3, betas=(0.9, 0.98), eps=1e-15, fused=True)

    def _run_block(self, stage: Stage) -> Generator[float, None, None]:
        parameters, renderer = self.parameters, self.renderer
        optimizer = self._optimizer
        assert optimizer is not None
        seed = hash((self.settings.seed, self._stage, self._block)) & 0x3FFFFFFF
        generator = torch.Generator().manual_seed(seed)
        self.cache.clear()
        with torch.no_grad():
            renderer.light_color = parameters.light_color().detach()
            renderer.environment = parameters.environment().detach()
        world = self.world(seed, environment_fixed=not parameters.world_is_free())
        visits = stage.visits * len(self.photos)
        order = torch.cat([torch.randperm(len(self.photos), generator=generator) for _ in range(stage.visits)])
        for visit, index in enumerate(order.tolist()):
            done = (self._block + visit / visits) / stage.blocks
            factor = stage.last_step + (stage.step - stage.last_step) * 0.5 * (1 + math.cos(math.pi * done))
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * factor
            shift = self._block * len(self.photos) + index
            offset = (0.7548776662 * shift) % 1.0 - 0.5, (0.5698402910 * shift) % 1.0 - 0.5
            cached = self.cache.get(index, stage.level, offset, world, seed + 31 * index)
            level = self.photos[index].level(stage.level)
            shown = self._predicted(cached, index)
            data_loss = photo_loss(shown, self.wanted(level, index), level.weight)
            loss = data_loss + scene_prior(parameters, self.gauge)
            if parameters.bundles:
                loss = loss + material_prior(renderer.bank, cached.view, renderer.corners, generator, stage.decided)
            optimizer.zero_grad(set_to_none=True)
            if loss.requires_grad:
                loss.backward()
                if not stage.form:
                    parameters.hold_form()
                optimizer.step()
                parameters.project()
                if stage.metallic is not None:
                    hypotheses.hold(parameters, stage.metallic)
            value = data_loss.item()
            if not math.isfinite(value):
                self._diverged()
            if self.watch is not None:
                self.watch(self, index, shown)
            yield value

    @torch.no_grad()
    def whole_picture(self, index: int) -> torch.Tensor:
        """What photo `index` would show at the present level, also where the fit does not look."""
        world = self.world(self.iteration)
        cached = self.cache.gather(index, self.level, world, self.iteration, QUICK, everywhere=True)
        return self._predicted(cached, index)

    def _predicted(self, cached: CachedView, index: int) -> torch.Tensor:
        """What photo `index` would show of the present scene, in the photo's domain."""
        return self.show(self.linear(cached, index), index)

    def linear(self, cached: CachedView, index: int) -> torch.Tensor:
        """Scene-linear picture of the present scene as photo `index` would expose it."""
        light_color, environment = self.parameters.light_color(), self.parameters.environment()
        picture = predict(self.renderer, cached, light_color, environment, self.scene.film)
        if self.cycles is not None:
            picture = self.cycles.corrected(picture, index)
        return picture * self.parameters.photo_gain(index)

    def show(self, linear: torch.Tensor, index: int) -> torch.Tensor:
        """Scene-linear radiance in the domain of a photo: through the view transform, or as it is (EXR, HDR)."""
        if self.scene.photos[index].domain == "linear":
            # Linear photos are compared by ratio rather than by difference, as an eye would.
            return torch.log1p(linear.clamp(min=0))
        return self.view_transform(linear)

    def wanted(self, level: Level, index: int) -> torch.Tensor:
        """The photo as `show` presents a render."""
        linear = self.scene.photos[index].domain == "linear"
        return torch.log1p(level.target.clamp(min=0)) if linear else level.target

    def displayed(self, picture: torch.Tensor, index: int) -> torch.Tensor:
        """What `show` or `wanted` returned, as display values in [0, 1]."""
        if self.scene.photos[index].domain == "linear":
            picture = self.view_transform(torch.expm1(picture))
        return picture

    def _diverged(self) -> None:
        if self._last_good is not None:
            self.restore(self._last_good)
            self.save()
        raise DivergedError(
            f"The fit diverged at iteration {self.iteration + 1}: the loss is not a number. "
            "Check the photos for broken pixels and the lights for extreme power; the last good state was kept."
        )

    def _keep(self) -> None:
        """Remember the state at the start of a block; write it to disk now and then."""
        assert self._optimizer is not None
        self._last_good = Checkpoint(
            self.fingerprint(), self._stage, self._block, self.iteration, self.parameters.state(),
            copy.deepcopy(self._optimizer.state_dict()), list(self.history), dict(self.seconds),
            self.cycles.state() if self.cycles is not None else {},
        )  # fmt: skip
        if self.run_dir is not None and time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the state at the start of the current block; another thread may ask for it while a step is computed."""
        with self._saving:
            if self.run_dir is not None and self._last_good is not None:
                save_checkpoint(self.run_dir, self._last_good)
        self._saved = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back (or on) to a checkpoint."""
        self._stage, self._block, self.iteration = checkpoint.stage, checkpoint.block, checkpoint.iteration
        self.parameters.load(checkpoint.parameters)
        self._optimizer = self._make_optimizer()
        self._optimizer.load_state_dict(checkpoint.optimizer)
        self.history, self.seconds = list(checkpoint.history), dict(checkpoint.seconds)
        if self.cycles is not None:
            self.cycles.load(checkpoint.cycles)


class _Clock:
    """Seconds since it was made, without those in which it was stopped."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def stopped(self) -> Generator[None, None, None]:
        paused = time.monotonic()
        yield
        self._began += time.monotonic() - paused
