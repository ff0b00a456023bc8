# SPDX-License-Identifier: GPL-3.0-or-later
"""The hand-written backward of `shade` against Warp's automatic adjoint, and against what linearity demands."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import warp as wp

from likeness.engine.ops.launch import cpu_threads
from likeness.engine.shading.environment import lookup_uv
from likeness.engine.shading.lobes import LOBE_WIDTH, lobe_weights, read_lobes
from likeness.engine.shading.samples import SOURCE_CONSTANT, SOURCE_ENVIRONMENT, Samples
from likeness.engine.shading.shade import PixelFrames, Pixels, frame_of, reflected, shade

from .by_hand import above, random_material, surface_rows, tensor, unit

PIXELS, EACH, LIGHTS, HEIGHT, WIDTH = 1500, 7, 3, 5, 11


@wp.kernel
def _one_sample_kernel(
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    direction: wp.array2d(dtype=wp.vec3),
    radiance: wp.array2d(dtype=wp.vec3),
    source: wp.array2d(dtype=wp.int32),
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    out: wp.array2d(dtype=wp.vec3),
):
    """One thread a sample, so that there is no loop which the automatic adjoint could get wrong."""
    i, k = wp.tid()
    f = reflected(read_lobes(lobe_rows, i), frame_of(pixels, i), direction[i, k])
    s = source[i, k]
    if s == SOURCE_ENVIRONMENT:
        at = radiance[i, k]  # factor and coordinates of the lookup
        out[i, k] = wp.cw_mul(f, at[0] * lookup_uv(environment, at[1], at[2]))
    elif s == SOURCE_CONSTANT:
        out[i, k] = wp.cw_mul(f, radiance[i, k])
    else:
        out[i, k] = wp.cw_mul(f, wp.cw_mul(radiance[i, k], light_color[s]))


class Case:
    """Random pixels with bent normals, samples of all sources, and a cotangent."""

    def __init__(self, bump: float) -> None:
        rng = np.random.default_rng(21)
        smooth = unit(rng.normal(size=(PIXELS, 3)))
        view = above(smooth, rng, 0.3)
        bent = unit(smooth + 0.3 * rng.normal(size=(PIXELS, 3)))
        low = 2 * np.sum(bent * view, -1) * np.sum(bent * smooth, -1) - np.sum(view * smooth, -1) < 0.01
        assert PIXELS / 50 < low.sum() < PIXELS / 5  # of these the normal of the specular lobes is lifted
        self.normal = tensor(bent)
        self.frames = PixelFrames(tensor(smooth), tensor(smooth), tensor(view), torch.full((PIXELS,), bump))
        surface = tensor(surface_rows(random_material(rng, PIXELS), PIXELS))
        self.lobes = lobe_weights(surface, self.normal, self.frames.geometric, self.frames.view).detach()
        directions = np.stack([above(smooth, rng, -0.2) for _ in range(EACH)], axis=1)
        self.count = rng.integers(0, EACH + 1, PIXELS)
        self.samples = Samples(
            tensor(directions),
            tensor(rng.uniform(0.0, 2.0, (PIXELS, EACH, 3))),
            torch.from_numpy(rng.integers(-2, LIGHTS, (PIXELS, EACH)).astype(np.int32)),
            torch.from_numpy(self.count.astype(np.int32)),
        )
        self.light_color = tensor(rng.uniform(0.1, 3.0, (LIGHTS, 3)))
        self.environment = tensor(rng.uniform(0.0, 2.0, (HEIGHT, WIDTH, 3)))
        self.cotangent = tensor(rng.normal(size=(PIXELS, 3)))

    def inputs(self) -> list[torch.Tensor]:
        return [self.lobes, self.normal, self.light_color, self.environment]

    def shade(self, *inputs: torch.Tensor) -> torch.Tensor:
        return shade(*inputs, self.frames, self.samples)

    def gradients(self) -> list[torch.Tensor]:
        leaves = [x.clone().requires_grad_() for x in self.inputs()]
        (self.shade(*leaves) * self.cotangent).sum().backward()
        return [x.grad for x in leaves]

    def automatic(self) -> tuple[torch.Tensor, list[np.ndarray]]:
        """Value and gradients of the kernel above. On the CPU a launch runs item after item: its adds do not race."""

        def leaf(x: torch.Tensor, dtype: type = wp.vec3) -> wp.array:
            return wp.array(x.numpy(), dtype=dtype, device="cpu", requires_grad=True)

        lobes, normal = leaf(self.lobes, wp.float32), leaf(self.normal)
        light_color, environment = leaf(self.light_color), leaf(self.environment)
        pixels = self.frames.arrays(self.normal)
        pixels.normal = normal
        out = wp.zeros((PIXELS, EACH), dtype=wp.vec3, device="cpu", requires_grad=True)
        arrays = self.samples.arrays()
        inputs = [lobes, pixels, arrays.direction, arrays.radiance, arrays.source, light_color, environment]
        with wp.Tape() as tape:
            wp.launch(_one_sample_kernel, (PIXELS, EACH), [*inputs, out], device="cpu")
        stored = np.arange(EACH) < self.count[:, None]
        cotangent = np.where(stored[..., None], self.cotangent.numpy()[:, None], 0.0).astype(np.float32)
        tape.backward(grads={out: wp.array(cotangent, dtype=wp.vec3, device="cpu")})
        value = torch.from_numpy((out.numpy() * stored[..., None]).sum(1))
        return value, [x.grad.numpy() for x in (lobes, normal, light_color, environment)]


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(bump=0.0)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    # float32 sums in another order; a highlight's slopes reach 1e5, so absolute errors follow the largest value.
    assert np.isfinite(expected).all()
    assert np.abs(expected).max() > 0
    error = np.abs(found - expected)
    assert (error <= 1e-3 * np.abs(expected) + 1e-6 * np.abs(expected).max()).all()


@pytest.mark.parametrize("bump", [0.0, 1.0])
def test_values_and_gradients_are_those_of_the_automatic_adjoint(bump: float) -> None:
    case = Case(bump)
    value, expected = case.automatic()
    assert_same(case.shade(*case.inputs()).numpy(), value.numpy())
    lobes, normal, light, environment = (g.numpy() for g in case.gradients())
    fitted = [c for c in range(LOBE_WIDTH) if c != 15]  # the index of refraction is not fitted
    for column in fitted:
        assert_same(lobes[:, column], expected[0][:, column])
    assert_same(light, expected[2])
    assert_same(environment, expected[3])
    # Only turns of the normal mean anything: compare the parts at right angles to it.
    n = case.normal.numpy()
    turn, expected_turn = (g - (g * n).sum(-1, keepdims=True) * n for g in (normal, expected[1]))
    assert_same(turn, expected_turn)


@pytest.mark.parametrize("bump", [0.0, 1.0])
@pytest.mark.parametrize("which", ["lobes", "light", "environment"])
def test_backward_is_the_transpose_of_what_is_linear(which: str, bump: float) -> None:
    """Radiance is linear in the lobe weights, in each light's colour and in each texel: <g, J d> = <Jᵀ g, d>."""
    case = Case(bump)
    index = {"lobes": 0, "light": 2, "environment": 3}[which]
    gradient = case.gradients()[index].double()
    generator = torch.Generator().manual_seed(5)
    for _ in range(3):
        inputs = [x.clone() for x in case.inputs()]
        direction = torch.rand(inputs[index].shape, generator=generator)
        if which == "lobes":
            direction[:, 15:] = 0.0
        inputs[index] = inputs[index] + direction
        difference = case.shade(*inputs).double() - case.shade(*case.inputs()).double()
        expected = (difference * case.cotangent).sum()
        scale = (difference * case.cotangent).abs().sum()
        assert abs(float((gradient * direction).sum() - expected)) < 1e-5 * float(scale)


def test_narrow_lobes_by_finite_differences(case: Case) -> None:
    """alpha² is not linear: central differences of a double-precision GGX, one constant lobe at a time."""
    rng = np.random.default_rng(23)
    count = 800
    alpha2 = rng.uniform(1e-3, 1.0, count).astype(np.float32).astype(np.float64)
    normal = unit(rng.normal(size=(count, 3))).astype(np.float32).astype(np.float64)
    view, light = above(normal, rng, 0.2), above(normal, rng, 0.2)
    view, light = (x.astype(np.float32).astype(np.float64) for x in (view, light))
    lobes = torch.zeros(count, LOBE_WIDTH)
    lobes[:, 3:6], lobes[:, 15] = 1.0, 1.5
    lobes[:, 16] = tensor(alpha2)
    lobes.requires_grad_()
    samples = Samples(
        tensor(light[:, None]),
        torch.ones(count, 1, 3),
        torch.full((count, 1), int(SOURCE_CONSTANT), dtype=torch.int32),
        torch.ones(count, dtype=torch.int32),
    )
    frames = PixelFrames(tensor(normal), tensor(normal), tensor(view), torch.zeros(count))
    black = torch.zeros(1, 1, 3)
    shade(lobes, tensor(normal), black[0], black, frames, samples).sum().backward()

    from tests.reference.principled import ggx_core

    step = 1e-6
    up = ggx_core(normal, view, light, (alpha2 + step) ** 0.25)
    down = ggx_core(normal, view, light, (alpha2 - step) ** 0.25)
    expected = 3 * (up - down) / (2 * step)
    assert np.abs(lobes.grad[:, 16].numpy() - expected).max() < 1e-3 * np.percentile(np.abs(expected), 90)


def test_threads_change_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that many pixels share are summed over threads: the same but for the order of the sum."""
    several = case.gradients()
    assert PIXELS >= 2 * 512
    monkeypatch.setenv("LIKENESS_THREADS", "1" if cpu_threads() > 1 else "2")
    other = case.gradients()
    for found, expected in zip(other, several, strict=True):
        assert_same(found.numpy(), expected.numpy())
