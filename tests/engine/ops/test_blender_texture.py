# SPDX-License-Identifier: GPL-3.0-or-later
"""sample_texture against a slow, obvious double-precision lookup and finite differences of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from likeness.engine.ops.blender_texture import EXTENSIONS, INTERPOLATIONS, sample_texture

from .devices import DEVICES

SHAPES = [(7, 5, 1), (4, 9, 2), (8, 8, 3), (1, 6, 4), (5, 1, 5), (3, 4, 6), (16, 8, 8)]


def index(i: int, n: int, extension: str) -> int | None:
    if extension == "REPEAT":
        return i % n
    if extension == "EXTEND":
        return min(max(i, 0), n - 1)
    if extension == "MIRROR":
        m = abs(i + (i < 0)) % (2 * n)
        return m if m < n else 2 * n - 1 - m
    return i if 0 <= i < n else None


def lookup(tex: np.ndarray, u: float, v: float, extension: str, interpolation: str) -> np.ndarray:
    height, width, channels = tex.shape

    def texel(row: int, column: int) -> np.ndarray:
        y, x = index(row, height, extension), index(column, width, extension)
        return np.zeros(channels) if x is None or y is None else tex[y, x]

    if interpolation == "Closest":
        return texel(math.floor(v * height), math.floor(u * width))
    x, y = u * width - 0.5, v * height - 0.5
    column, row = math.floor(x), math.floor(y)
    fx, fy = x - column, y - row
    below = (1 - fx) * texel(row, column) + fx * texel(row, column + 1)
    above = (1 - fx) * texel(row + 1, column) + fx * texel(row + 1, column + 1)
    return (1 - fy) * below + fy * above


def inputs(shape: tuple[int, int, int], count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A texture, coordinates two periods beyond the image on all sides, a cotangent. Coordinates are kept 0.01 texel
    from texel borders and centre lines, where rounding decides."""
    rng = np.random.default_rng(sum(shape))
    height, width, channels = shape
    size = np.array([width, height])
    cell = np.floor(rng.uniform(-2, 3, (count, 2)) * size * 2)
    uv = (cell + rng.uniform(0.02, 0.98, (count, 2))) / (2 * size)
    return rng.normal(size=shape), uv.astype(np.float32), rng.normal(size=(count, channels))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value_and_gradients(shape: tuple[int, int, int], extension: str, interpolation: str, device: str) -> None:
    tex, uv, cotangent = inputs(shape)
    t = torch.tensor(tex, dtype=torch.float32, device=device, requires_grad=True)
    c = torch.tensor(uv, device=device, requires_grad=True)
    out = sample_texture(t, c, extension, interpolation)
    grad_tex, grad_uv = torch.autograd.grad(out, (t, c), torch.tensor(cotangent, dtype=torch.float32, device=device))

    uv = uv.astype(np.float64)
    expected = np.stack([lookup(tex, u, v, extension, interpolation) for u, v in uv])
    # float32 texel coordinates up to 3 * 16 are good to 48 * 2**-24 texel
    np.testing.assert_allclose(out.detach().cpu(), expected, atol=5e-5)
    # The lookup is linear in the texture: its derivative in a direction is the lookup of the direction.
    direction = np.random.default_rng(1).normal(size=shape)
    slope = sum(w @ lookup(direction, u, v, extension, interpolation) for w, (u, v) in zip(cotangent, uv, strict=True))
    assert float((grad_tex.double().cpu() * torch.tensor(direction)).sum()) == pytest.approx(slope, abs=5e-3)
    # ... and bilinear in the coordinates, so that central differences inside a cell are exact.
    for k, step in enumerate(np.eye(2) * 1e-5):
        difference = np.stack(
            [
                lookup(tex, *(p + step), extension, interpolation) - lookup(tex, *(p - step), extension, interpolation)
                for p in uv
            ]
        )
        slopes = (difference * cotangent).sum(1) / 2e-5
        np.testing.assert_allclose(grad_uv[:, k].cpu(), slopes, atol=5e-5 * max(shape) * np.abs(cotangent).max() * 4)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_threads_do_not_change_the_gradient(extension: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    uv = torch.tensor(rng.uniform(-1, 2, (20000, 2)), dtype=torch.float32)
    cotangent = torch.tensor(rng.normal(size=(20000, 3)), dtype=torch.float32)
    gradients = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("LIKENESS_THREADS", threads)
        tex = torch.zeros(64, 48, 3, requires_grad=True)
        gradients += torch.autograd.grad(sample_texture(tex, uv, extension), tex, cotangent)
    assert torch.equal(gradients[0], gradients[1])
    assert torch.equal(gradients[0], gradients[2])
    assert gradients[0].abs().sum() > 0


def test_strange_coordinates() -> None:
    tex = torch.rand(8, 8, 3, requires_grad=True)
    uv = torch.tensor([[math.nan, 0.5], [0.5, math.inf], [3e30, -3e30], [0.5, 0.5]])
    for extension in EXTENSIONS:
        out = sample_texture(tex, uv, extension)
        assert not out[:2].any()
        assert out[3].all()
        (grad,) = torch.autograd.grad(out[:3].sum(), tex)
        assert grad.isfinite().all()
    assert sample_texture(tex, uv[:0]).shape == (0, 3)


def test_wrong_arguments_are_named() -> None:
    tex, uv = torch.rand(4, 4, 3), torch.rand(5, 2)
    for error, name, arguments in [
        (TypeError, "tex", (tex.double(), uv)),
        (TypeError, "uv", (tex, uv.numpy())),
        (ValueError, "tex", (tex[0], uv)),
        (ValueError, "tex", (tex[:0], uv)),
        (ValueError, "uv", (tex, torch.rand(5, 3))),
        (ValueError, "uv", (tex, uv.to("meta"))),
        (ValueError, "extension", (tex, uv, "WRAP")),
        (ValueError, "interpolation", (tex, uv, "CLIP", "Cubic")),
    ]:
        with pytest.raises(error, match=f"^{name} "):
            sample_texture(*arguments)
